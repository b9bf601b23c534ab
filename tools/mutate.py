#!/usr/bin/env python3
"""Makes mistakes in the source on purpose, one at a time, and sees whether a test notices.

Each mutant of tools/mutants.toml is put into a copy of the tree under build/mutants, the test
executable of its folder is built there, and the test cases that should notice are run.

  tools/mutate.py                 all of them; exit status 1 if a test noticed nothing
  tools/mutate.py --only NAME...  those; a name may hold * and ?
  tools/mutate.py --list          their names, files and tests
  tools/mutate.py --check         nothing but that each one's text is in its file exactly once
"""
import argparse
import fnmatch
import os
import pathlib
import re
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "tools" / "mutants.toml"
COPY = ROOT / "build" / "mutants"
BUILD = COPY / "build" / "release"
LIMIT_SECONDS = 300  # of a test; a mutant that hangs is noticed


def read_table():
    with TABLE.open("rb") as file:
        return tomllib.load(file)["mutant"]


def executable(mutant):
    return "test_" + mutant["test"].split("/")[0]


def problems(mutants):
    """What is wrong with the table itself, one line for each mistake."""
    names = [mutant["name"] for mutant in mutants]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name}: two mutants have this name"
    for mutant in mutants:
        path = ROOT / mutant["file"]
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        times = text.count(mutant["from"])
        if times != 1:
            yield f"{mutant['name']}: {mutant['file']} has its text {times} times, not once"
        if mutant["from"] == mutant["to"]:
            yield f"{mutant['name']}: changes nothing"


def bring_up_to_date():
    """Makes the copy equal to the working tree, without touching files that are equal already."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout
    tracked = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for name in tracked:
        content, to = (ROOT / name).read_bytes(), COPY / name
        if to.exists() and to.read_bytes() == content:
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(content)
        to.chmod((ROOT / name).stat().st_mode)
    for path in COPY.rglob("*"):
        gone = path.is_file() and str(path.relative_to(COPY)) not in tracked
        if gone and not path.is_relative_to(COPY / "build"):
            path.unlink()


def run(*command, **options):
    return subprocess.run(command, cwd=COPY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **options)


def build(targets):
    return run("cmake", "--build", BUILD, "-j", str(os.cpu_count()), "--target", *targets)


def passes(mutant):
    """Whether the test cases pass; a filter that finds none is an error."""
    cases = mutant["test"].split("/", 1)[1]
    try:
        result = run(BUILD / "tests" / executable(mutant), f"--test-case={cases}",
                     timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    if re.search(r"test cases:\s+0 \|", result.stdout):
        sys.exit(f"mutate: {mutant['name']}: there is no test case {mutant['test']}")
    return result.returncode == 0


def build_unchanged(mutants):
    bring_up_to_date()
    targets = sorted({executable(mutant) for mutant in mutants})
    for result in (run("cmake", "--preset", "release"), build(targets)):
        if result.returncode != 0:
            sys.exit(result.stdout + "mutate: the copy does not build")
    by_test = {mutant["test"]: mutant for mutant in mutants}
    for test, mutant in by_test.items():
        if not passes(mutant):
            sys.exit(f"mutate: {test} fails without any mutant")


def verdict(mutant):
    path = COPY / mutant["file"]
    original = path.read_text(encoding="utf-8")
    path.write_text(original.replace(mutant["from"], mutant["to"]), encoding="utf-8")
    try:
        if build([executable(mutant)]).returncode != 0:
            return "does not build"
        return "SURVIVES" if passes(mutant) else "noticed"
    finally:
        path.write_text(original, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", default=["*"])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()

    mutants = read_table()
    if wrong := list(problems(mutants)):
        print("\n".join(wrong))
        print("mutate: a line that changed needs its entry in tools/mutants.toml changed")
        return 1
    if arguments.check:
        return 0
    chosen = [m for m in mutants if any(fnmatch.fnmatch(m["name"], o) for o in arguments.only)]
    if not chosen:
        print("mutate: no mutant has such a name; --list tells them", file=sys.stderr)
        return 2
    if arguments.list:
        for mutant in chosen:
            print(f"{mutant['name']:32} {mutant['file']:34} {mutant['test']}")
        return 0

    build_unchanged(chosen)
    unnoticed = 0
    for mutant in chosen:
        begin = time.monotonic()
        result = verdict(mutant)
        unnoticed += result != "noticed"
        print(f"{mutant['name']:32} {result:15} {time.monotonic() - begin:5.0f} s", flush=True)
    print(f"{len(chosen)} mutants, {unnoticed} not noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
