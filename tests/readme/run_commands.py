#!/usr/bin/env python3
"""Holds the documentation to the program and the source.

    run_commands.py SOURCE_DIR PROGRAM

Every line of a ```sh block in README.md, docs/ and experiments/ is a command. Those of `tarn`, of
tools/ and of build/release/ (where PROGRAM is) are run, a page's in their order, in a copy of what
they need, `> FILE` at their end included; `./dev train` as `tarn train`. Others must be known below, with the place where they are
run. A comment above a block says more:

    <!-- test: set train.steps=20 -->    given as --set to the block's `tarn train`; may hold several
    <!-- test: skip, REASON -->          the block is not run; the reason is printed

Every relative link must lead to a file, and a block or a table under `<!-- from: FILE -->` must be
lines of that file in their order; a line of `...` stands for those left out.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

SECONDS = 120  # for one command
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}  # other tests run at the same time

# What the pages' commands read, as it is in the source.
COPIED = ["experiments", "tools", "tests/golden"]

# What is not run here, and where it is run: a file, and what that file says.
CTEST = ("dev", 'exec ctest --preset release -j2 --output-on-failure "$@"')
STAGES = (".ci/run", '(($#)) || set -- "${stages[@]}"')
ELSEWHERE = {
    "./dev train experiments/copy_task/quick.toml":
        (".ci/run", "./dev train experiments/copy_task/quick.toml"),
    "./dev test": (".ci/run", "./dev test"),
    "./dev reproduce": (".ci/run", "./dev reproduce --scale smoke"),
    "./dev test -N": CTEST,
    "./dev test -R resume": CTEST,
    "./dev test -R 'multiply|ops:|kernels/.*kernel'":
        ("tests/adding_an_op/follow.py", "./dev test "),
    "./dev test -L core": CTEST,
    "./dev test -LE slow": CTEST,
    "./dev lint": (".ci/run", "./dev lint"),
    ".ci/run": STAGES,
    ".ci/run lint test": STAGES,
    "cmake --preset release": (".ci/run", "cmake --preset release"),
    "cmake --build --preset release": (".ci/run", "cmake --build --preset release"),
    "cmake --install build/release --prefix ~/tarn": ("tests/install/run.cmake", "--install"),
    "cmake --preset cuda": (".ci/run", "cmake --preset cuda"),
    "cmake --build --preset cuda": ("tools/gpu_report", "cmake --build --preset cuda"),
    "build/cuda/tarn info": (".ci/run", "build/cuda/tarn info"),
    "./dev gpu-report": (".ci/run", "./dev gpu-report"),
    "cmake --preset asan": (".ci/run", "cmake --preset asan"),
    "cmake --build --preset asan": (".ci/run", "cmake --build --preset asan"),
    "ctest --preset asan -j2 -LE 'slow|thread'":
        (".ci/run", "ctest --preset asan -j2 -LE 'slow|thread'"),
    "cmake --build --preset asan --target fuzz_safetensors":
        (".ci/run", "cmake --build --preset asan"),
    "build/asan/tests/fuzz_safetensors -max_total_time=60": (".ci/run", "build/asan/tests/fuzz_*"),
    "tools/mutate.py --check": ("dev", "tools/mutate.py --check"),
    "tools/instruction_counts": (".ci/run", "tools/instruction_counts"),
    "tools/ptx_counts": (".ci/run", "tools/ptx_counts"),
}

PLAIN_TOOLS = ["cmp", "diff", "rm"]

FENCE = re.compile(r"^( *)(```+)(\w*) *$")
DIRECTIVE = re.compile(r"^ *<!-- *(test|from): *(.*?) *-->$")
LINK = re.compile(r"\]\(([^()\s]+)\)")


class Block:
    """A fenced block, or a table that is quoted, and the comment that stands above it."""

    def __init__(self, page, line, language, directive):
        self.page, self.line, self.language, self.directive = page, line, language, directive
        self.lines = []

    def where(self):
        return f"{self.page}:{self.line}"


def blocks_and_prose(page, text):
    """The fenced blocks of a page, and its lines outside of them."""
    blocks, prose = [], []
    block, fence, directive = None, "", None
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if block is not None and block.language == "table" and not line.startswith("|"):
            blocks.append(block)
            block = None
        if block is not None:
            if line.strip() == fence:
                blocks.append(block)
                block = None
            else:
                block.lines.append(line)
            continue
        opening = FENCE.match(line)
        if directive is not None and line.startswith("|"):
            block = Block(page, number, "table", directive)
            block.lines.append(line)
            directive = None
            continue
        if opening:
            fence = opening.group(2)
            block = Block(page, number, opening.group(3), directive)
        else:
            prose.append(re.sub(r"`[^`]*`", "", line))
        found = DIRECTIVE.match(line)
        if directive is not None and not opening:
            raise ValueError(f"{page}:{number}: a block should follow the comment above")
        directive = found.groups() if found else None
    if block is not None:
        raise ValueError(f"{block.where()}: the block does not end")
    return blocks, prose


def commands_of(block):
    """The commands of a block: continued lines joined, comments dropped."""
    text = "\n".join(block.lines).replace("\\\n", " ")
    lines = (line.split(" #")[0].strip() for line in text.split("\n"))
    return [" ".join(line.split()) for line in lines if line and not line.startswith("#")]


class Check:
    def __init__(self, source, program):
        self.source, self.program = source, program
        self.errors, self.skipped = [], []
        self.run_here = self.run_elsewhere = self.links = self.quotations = 0

    def error(self, where, text):
        self.errors.append(f"{where}: {text}")

    def skip(self, what, reason):
        self.skipped.append(f"{what}: {reason}")

    def check_page(self, path, runs_commands):
        page = path.relative_to(self.source).as_posix()
        try:
            blocks, prose = blocks_and_prose(page, path.read_text(encoding="utf-8"))
        except ValueError as error:
            self.errors.append(str(error))
            return
        self.check_links(path, page, prose)
        for block in blocks:
            if block.directive and block.directive[0] == "from":
                self.check_quotation(block)
        if runs_commands:
            self.run_page(page, [block for block in blocks if block.language == "sh"])

    def check_links(self, path, page, prose):
        for target in LINK.findall("\n".join(prose)):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            self.links += 1
            if not (path.parent / target.split("#")[0]).exists():
                self.error(page, f"the link to {target} leads nowhere")

    def check_quotation(self, block):
        self.quotations += 1
        file = self.source / block.directive[1]
        if not file.is_file():
            self.error(block.where(), f"there is no {block.directive[1]}")
            return
        left = iter([line.strip() for line in file.read_text(encoding="utf-8").splitlines()])
        for line in filter(None, (line.strip() for line in block.lines)):
            if line != "..." and line not in left:  # which takes from `left` up to the line
                self.error(block.where(), f"{block.directive[1]} does not have (here) '{line}'")
                return

    def run_page(self, page, blocks):
        with tempfile.TemporaryDirectory(prefix="tarn-readme-") as scratch:
            scratch = pathlib.Path(scratch)
            for folder in COPIED:
                shutil.copytree(self.source / folder, scratch / folder)
            (scratch / "docs").mkdir()
            for block in blocks:
                self.run_block(block, scratch)

    def run_block(self, block, scratch):
        kind, directive = block.directive or ("test", "")
        commands = commands_of(block)
        settings = []
        if directive.startswith("skip,") and directive[5:].strip():
            for command in commands:
                self.skip(command, directive[5:].strip())
            return
        if directive.startswith("set "):
            settings = directive.split()[1:]
        elif directive or kind != "test":
            self.error(block.where(), f"'{kind}: {directive}' is neither 'set KEY=VALUE...' nor "
                       "'skip, REASON'")
            return
        for command in commands:
            self.run_command(block, command, settings, scratch)

    def run_command(self, block, command, settings, scratch):
        if command in ELSEWHERE:
            file, text = ELSEWHERE[command]
            self.run_elsewhere += 1
            if text not in (self.source / file).read_text(encoding="utf-8"):
                self.error(block.where(), f"'{command}': {file} no longer has '{text}'")
        if command.startswith("./dev train "):
            command = command.replace("./dev", "tarn", 1)
        elif command in ELSEWHERE:
            return
        words = shlex.split(command)
        to_file = None
        if words[-2:-1] == [">"]:
            to_file = scratch / words[-1]
            del words[-2:]
        if words[0].startswith("tools/") and (scratch / words[0]).exists():
            if words[0] == "tools/plot_curves" and not shutil.which("gnuplot"):
                self.skip(command, "gnuplot is missing")
                return
        elif words[0].startswith("build/release/"):
            words[0] = str(self.program.parent / words[0].removeprefix("build/release/"))
            if not pathlib.Path(words[0]).exists():
                self.skip(command, "it is not built")
                return
        elif words[0] == "tarn":
            if words[1:2] == ["train"]:
                words += [word for setting in settings for word in ("--set", setting)]
            words[0] = str(self.program)
        elif words[0] not in PLAIN_TOOLS:
            self.error(block.where(), f"'{command}' is not run here, nor known to be run elsewhere")
            return
        self.run_here += 1
        try:
            done = subprocess.run(words, cwd=scratch, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, check=False, timeout=SECONDS,
                                  stderr=subprocess.PIPE if to_file else subprocess.STDOUT)
        except subprocess.TimeoutExpired:
            self.error(block.where(), f"'{command}' takes more than {SECONDS} seconds")
            return
        if to_file is not None:
            to_file.write_bytes(done.stdout)
        if done.returncode != 0:
            output = (done.stderr or done.stdout).decode(errors="replace").rstrip()
            self.error(block.where(), f"'{command}' ends with {done.returncode}:\n{output}")


def pages(source):
    """The Markdown files of the source, without what was built, run or hidden there."""
    for path in sorted(source.rglob("*.md")):
        top = path.relative_to(source).parts[0]
        if top not in ("build", "runs") and not top.startswith("."):
            yield path


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    check = Check(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve())
    for path in pages(check.source):
        top = path.relative_to(check.source).parts[0]
        check.check_page(path, top in ("README.md", "docs", "experiments"))
    print(f"{check.run_here} commands run, {check.run_elsewhere} known to be run by CI, "
          f"{len(check.skipped)} skipped; {check.links} links, {check.quotations} quotations")
    for text in check.skipped:
        print(f"skipped: {text}")
    for text in check.errors:
        print(f"error: {text}")
    return 1 if check.errors else 0


if __name__ == "__main__":
    sys.exit(main())
