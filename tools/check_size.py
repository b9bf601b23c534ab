#!/usr/bin/env python3
"""Checks that no source file is longer than its budget; a longer one is two files."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ["core", "kernels", "autograd", "nn", "optim", "data", "train", "bench", "tests"]
LIMITS = {".cpp": 400, ".cu": 400, ".c": 400, ".h": 250, ".cuh": 250}  # .def lists are exempt


def main():
    failed = 0
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            limit = LIMITS.get(path.suffix)
            if limit is None:
                continue
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > limit:
                failed = 1
                print(f"{path.relative_to(ROOT)}: {lines} lines, the limit is {limit}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
