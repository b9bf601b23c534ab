#!/usr/bin/env python3
"""Follows docs/adding_an_op.md in a copy of the tree, as a reader would.

    follow.py SOURCE_DIR SCRATCH_DIR [CMAKE_ARGUMENT...]

A block under `<!-- new: FILE -->` becomes a file, one under `<!-- add: FILE -->` the last lines of
a list of TARN_... lines. Before the cases are there, the coverage test must say that the new
kernels lack a test. With them, what the page's `./dev test ARGUMENTS` select must pass, of the two
test programs that are built. SCRATCH_DIR is replaced. The compiler's cache (ccache), if there is
one, serves every run but the first.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

NOT_COPIED = shutil.ignore_patterns("build", "runs", ".git", "__pycache__")
STEP = re.compile(r"^<!-- (new|add): (\S+) -->\n```cpp\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TESTS = re.compile(r"^\./dev test (.+)$", re.MULTILINE)
CASES = "tests/support/op_cases"
KERNEL = re.compile(r"^TARN_KERNEL(?:_WITH_SCRATCH)?\((\w+),", re.MULTILINE)


class Copy:
    """The scratch copy of the tree, and its build folder."""

    def __init__(self, source, tree, arguments):
        self.tree, self.build = tree, tree / "build/release"
        self.environment = {"CCACHE_BASEDIR": str(tree), **os.environ}
        if tree.exists():
            shutil.rmtree(tree)
        shutil.copytree(source, tree, ignore=NOT_COPIED, symlinks=True)
        self.run("cmake", "--preset", "release", *arguments)

    def run(self, *command):
        print("+", shlex.join(command), flush=True)
        subprocess.run(command, cwd=self.tree, env=self.environment, check=True)

    def output(self, *command):
        print("+", shlex.join(command), flush=True)
        done = subprocess.run(command, cwd=self.tree, env=self.environment, check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def take(self, kind, name, text):
        """One step of the page."""
        file = self.tree / name
        if file.exists() != (kind == "add"):
            sys.exit(f"'{kind}: {name}': the file is {'there' if file.exists() else 'not there'}")
        if kind == "add":
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            entries = [number for number, line in enumerate(lines, 1) if line.startswith("TARN_")]
            text = "".join(lines[:entries[-1]] + [text] + lines[entries[-1]:])
        file.write_text(text, encoding="utf-8")

    def compile(self, *targets):
        self.run("cmake", "--build", str(self.build), "-j2", "--target", *targets)


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    source = pathlib.Path(sys.argv[1]).resolve()
    page = (source / "docs/adding_an_op.md").read_text(encoding="utf-8")
    steps, tests = STEP.findall(page), TESTS.findall(page)
    if sum("```cpp" in line for line in page.splitlines()) - page.count("<!-- from:") != len(steps):
        sys.exit("a block of code on the page has no '<!-- new: FILE -->' or '<!-- add: FILE -->'")
    kernels = [name for kind, file, text in steps for name in KERNEL.findall(text) if kind == "add"]
    if not kernels or not tests:
        sys.exit("the page adds no kernel, or runs no test")

    copy = Copy(source, pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:])
    for step in steps:
        if not step[1].startswith(CASES):
            copy.take(*step)
    copy.compile("test_kernels")
    status, said = copy.output(str(copy.build / "tests/test_kernels"), "--test-case=kernels.def*")
    missed = [name for name in kernels if f"{name} is neither called" in said]
    if status == 0 or missed != kernels:
        sys.exit(f"{said}\nwithout a case of the op, the coverage test does not name {kernels}")

    for step in steps:
        if step[1].startswith(CASES):
            copy.take(*step)
    copy.compile("test_kernels", "test_autograd")
    for arguments in tests:
        copy.run("ctest", "--test-dir", str(copy.build), "-j2", "--output-on-failure",
                 "--no-tests=error", "-E", "NOT_BUILT", *shlex.split(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
