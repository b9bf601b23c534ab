#!/usr/bin/env python3
"""Removes each barrier of kernels/cuda, one at a time, and sees whether a test notices.

A barrier is a call of __syncthreads or __syncwarp in kernels/cuda. The kernels without it are built
for the checker of the emulated device (docs/emulator.md) in a copy of the tree under build/mutants.
First those files of tests/kernels run that include a header named as a source that was compiled
again; only if they notice nothing, all other cases of kernels on devices.

  tools/remove_barriers.py                   all of them; exit status 1 if one was not missed
  tools/remove_barriers.py --only FILE[:N]   those of such files, or the Nth of each
  tools/remove_barriers.py --untried         those of which the table does not say how it ended
  tools/remove_barriers.py --update          and writes what came of it into the table of the page
  tools/remove_barriers.py --list            where they are
  tools/remove_barriers.py --check           nothing but that the table names each of them once
"""
import argparse
import collections
import fnmatch
import functools
import os
import re
import subprocess
import sys
import time

import mutate

KERNELS = mutate.ROOT / "kernels" / "cuda"
PAGE = mutate.ROOT / "docs" / "emulator.md"
PRESET = "emulate_checked"
PROGRAM = mutate.COPY / "build" / PRESET / "tests" / "test_kernels"
LIMIT_SECONDS = 1200  # of a run of tests; a barrier whose removal lets a kernel hang is missed
FAILURES = 20  # after which a run of tests ends: the checker speaks after the results were compared

BEGIN, END = "<!-- barriers: tools/remove_barriers.py --update -->", "<!-- end of barriers -->"
HEADER = ("| file of kernels/cuda | barrier | without it | kernel | test case |\n"
          "| --- | --- | --- | --- | --- |\n")
UNTRIED = "not tried"
UNNOTICED = "NOT NOTICED"

BARRIER = re.compile(r"\b__sync(?:threads|warp)\([^()]*\);")
FUNCTION = re.compile(r"__(?:device|global)__[\w\s<>:,&*]*?(?:__launch_bounds__\([^;{]*?\)\s+)?"
                      r"\b(?!__launch_bounds__)(\w+)\(")
# What the checker says, and what it is called here.
FAULTS = [
    (r"race on (?:shared|global) memory", "{0}"),
    (r"read of (?:shared|global) memory at \S+ that was never written", "uninitialised read"),
    (r"deadlock: ", "deadlock"),
    (r"meet (?:at|in) different|is reached by", "divergence"),
]

Barrier = collections.namedtuple("Barrier", "file name begin end")
Outcome = collections.namedtuple("Outcome", "noticed kernel case", defaults=("", ""))


def without_comments(text):
    """The same text with spaces for comments, so that places stay what they are."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", lambda c: " " * len(c[0]), text, flags=re.DOTALL)


def barriers_of(path):
    """The barriers of a file. Each is named by its function and its number there."""
    code = without_comments(path.read_text(encoding="utf-8"))
    functions = list(FUNCTION.finditer(code))
    numbers = collections.Counter()
    for found in BARRIER.finditer(code):
        function = [f[1] for f in functions if f.end() <= found.start()][-1]
        numbers[function] += 1
        yield Barrier(path.name, f"{function}, {numbers[function]}", found.start(), found.end())


def all_barriers():
    for path in sorted(KERNELS.iterdir()):
        yield from barriers_of(path)


def read_table():
    """What the page says of each barrier, by file and name, in the page's order."""
    page = PAGE.read_text(encoding="utf-8")
    table = page[page.index(BEGIN):page.index(END)]
    rows = re.findall(r"^\| ([\w.-]+) \| `(.*?)` \| (.*?) \| `?(.*?)`? \| (.*?) \|$", table, re.M)
    return [((file, name), Outcome(*outcome)) for file, name, *outcome in rows]


def write_table(barriers, outcomes):
    def row(barrier):
        outcome = outcomes.get((barrier.file, barrier.name), Outcome(UNTRIED))
        kernel = outcome.kernel and f"`{outcome.kernel}`"
        cells = (barrier.file, f"`{barrier.name}`", outcome.noticed, kernel, outcome.case)
        return f"| {' | '.join(cells)} |\n"

    kept = [outcomes[b.file, b.name] for b in barriers if (b.file, b.name) in outcomes]
    tried = [outcome for outcome in kept if outcome.noticed != UNTRIED]
    noticed = [outcome for outcome in tried if outcome.noticed != UNNOTICED]
    summary = (f"Of {len(barriers)} barriers {len(tried)} were removed, one at a time; "
               f"the tests noticed {len(noticed)}.\n")
    page = PAGE.read_text(encoding="utf-8")
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    table = f"\n{summary}\n{HEADER}{''.join(map(row, barriers))}"
    PAGE.write_text(page[:begin] + table + page[end:], encoding="utf-8")


def problems():
    named = [place for place, _ in read_table()]
    there = [(barrier.file, barrier.name) for barrier in all_barriers()]
    for file, name in sorted(set(there) - set(named)):
        yield f"kernels/cuda/{file}: {name}: {PAGE.name} does not name this barrier"
    for file, name in sorted(set(named) - set(there)):
        yield f"{PAGE.name}: there is no barrier {name} in kernels/cuda/{file}"


def sources_with(barrier):
    """The .cu files compiled with a barrier: those that call its function, if any name it."""
    text_of = {path.name: path.read_text(encoding="utf-8") for path in KERNELS.iterdir()}
    reached, new = set(), {barrier.file}
    while new:
        reached |= new
        new = {name for name, text in text_of.items()
               if any(f'"kernels/cuda/{included}"' in text for included in new)} - reached
    sources = {name for name in reached if name.endswith(".cu")}
    function = barrier.name.split(",")[0]
    return {name for name in sources if re.search(rf"\b{function}", text_of[name])} or sources


def tests_of(barrier):
    """The files of tests for CUDA devices that include a header named as such a source."""
    stems = "|".join(name.removesuffix(".cu") for name in sources_with(barrier))
    named = re.compile(rf'#include ".*/(?:{stems})(?:_\w+)?\.h"')
    return [path.name for path in sorted((mutate.ROOT / "tests" / "kernels").glob("cuda_*.cpp"))
            if named.search(path.read_text(encoding="utf-8"))]


def build():
    return mutate.run("cmake", "--build", "--preset", PRESET, "-j", str(os.cpu_count()),
                      "--target", "test_kernels")


def what_tests_say(*filters):
    """What the tests notice, or None if they pass."""
    try:
        result = mutate.run(PROGRAM, f"--abort-after={FAILURES}", *filters, timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        return Outcome("does not end")
    if result.returncode == 0:
        if re.search(r"test cases:\s+0 \|", result.stdout):
            sys.exit(f"remove_barriers: there are no such tests: {' '.join(filters)}")
        return None
    case, wrong = "", None
    for line in result.stdout.splitlines():
        if line.startswith("TEST CASE:"):
            case = line.removeprefix("TEST CASE:").strip()
        for pattern, name in FAULTS:
            place = r"(\w+)(?:<.*?>)?\)? block \(.*?\) thread \(.*?\): .*?"
            if found := re.search(f"{place}({pattern})", line):
                return Outcome(name.format(found[2]), found[1], case)
        if wrong is None and re.search(r"ERROR: (?:CHECK|REQUIRE)", line):
            wrong = Outcome("wrong result", "", case)
    return wrong or Outcome("the tests crash", "", case)


def filters_of(barrier):
    """The runs of tests that should notice, the likely ones first."""
    every = "--test-case=cuda:*,devices:*"
    first = ",".join(f"*{name}" for name in tests_of(barrier))
    if not first:
        return [(every,)]
    return [(f"--source-file={first}",), (every, f"--source-file-exclude={first}")]


@functools.cache
def expect_to_pass(filters):
    if outcome := what_tests_say(*filters):
        sys.exit(f"remove_barriers: {outcome.case} fails with all barriers: {outcome.noticed}")


def without(barrier):
    """What the tests say when a barrier is not there."""
    path = mutate.COPY / "kernels" / "cuda" / barrier.file
    original = path.read_text(encoding="utf-8")
    path.write_text(original[:barrier.begin] + "{}" + original[barrier.end:], encoding="utf-8")
    try:
        built = build()
        if built.returncode != 0:
            sys.exit(f"{built.stdout}remove_barriers: {barrier.file} does not build without one")
        outcomes = (what_tests_say(*filters) for filters in filters_of(barrier))
        return next(filter(None, outcomes), Outcome(UNNOTICED))
    finally:
        path.write_text(original, encoding="utf-8")


def chosen(barriers, arguments):
    untried = {place for place, outcome in read_table() if outcome.noticed == UNTRIED}
    numbers = collections.Counter()
    for barrier in barriers:
        numbers[barrier.file] += 1
        names = (barrier.file, f"{barrier.file}:{numbers[barrier.file]}")
        if arguments.only and not any(fnmatch.fnmatch(n, o) for n in names for o in arguments.only):
            continue
        if not arguments.untried or (barrier.file, barrier.name) in untried:
            yield barrier


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="FILE[:N]")
    for option in ("--untried", "--update", "--list", "--check"):
        parser.add_argument(option, action="store_true")
    arguments = parser.parse_args()

    if arguments.check:
        wrong = list(problems())
        print("".join(line + "\n" for line in wrong), end="")
        if wrong:
            print("remove_barriers: run tools/remove_barriers.py --untried --update")
        return 1 if wrong else 0
    barriers = list(all_barriers())
    removed = list(chosen(barriers, arguments))
    if arguments.list:
        for barrier in removed:
            print(f"{barrier.file:24} {barrier.name:28} {' '.join(tests_of(barrier))}")
        return 0

    mutate.bring_up_to_date()
    for result in (mutate.run("cmake", "--preset", PRESET), build()):
        if result.returncode != 0:
            sys.exit(result.stdout + "remove_barriers: the copy does not build")
    for barrier in removed:
        expect_to_pass(filters_of(barrier)[0])
    unnoticed, outcomes = 0, dict(read_table())
    for barrier in removed:
        begin = time.monotonic()
        outcome = without(barrier)
        unnoticed += outcome.noticed == UNNOTICED
        outcomes[barrier.file, barrier.name] = outcome
        print(f"{barrier.file:24} {barrier.name:28} {outcome.noticed:24} {outcome.kernel:28} "
              f"{time.monotonic() - begin:5.0f} s", flush=True)
        if arguments.update:
            write_table(barriers, outcomes)
    print(f"{len(removed)} barriers, {unnoticed} not noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
