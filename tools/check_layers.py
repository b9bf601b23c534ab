#!/usr/bin/env python3
"""Checks that every folder includes only what its layer may, and keeps to its own tools."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ALL = {"core", "kernels", "autograd", "nn", "optim", "data", "train"}

# What a folder may include, besides itself: folders, or one header. The longest row that a file's
# path begins with is the file's. Nothing outside a folder with a row of its own may include it,
# unless its row names it.
LAYERS = {
    "core": set(),
    "kernels": {"core", "hwy"},  # Highway's headers, which are customarily quoted
    "autograd": {"core", "kernels"},
    "nn": {"core", "autograd"},
    "optim": {"core", "kernels", "autograd/parameter.h"},
    "data": {"core"},
    "train": ALL | {"train/distributed"},
    "train/distributed": {"core", "kernels", "data/shard.h"},
    "train/program": ALL | {"train/distributed", "bench"},
    "bench": ALL | {"tests"},
    "tests": ALL | {"train/distributed"},
}

PROGRAM = ("train/program/",)
# Who may read elements: kernels and tests, and what works on batches, results and arguments in the
# program's own memory. All else asks a kernel, copy_to() or a HostCopy.
ELEMENTS = ("core/", "kernels/", "data/", "bench/", "tests/", "autograd/check.cpp", "autograd/ctc.cpp",
            "train/tasks/float_type.cpp", "train/tasks/images.cpp", "train/tasks/speech.cpp", "train/tasks/speech_recogniser.cpp",
            "train/generation/given_images.cpp", "train/program/commands/",
            "train/weights/recorded.cpp")

# A token, how it looks, and the places (by the start of the path) where it may stand.
TOKENS = [
    ("#pragma omp", r"#\s*pragma\s+omp\b|_Pragma\(\s*\"omp\b", ("kernels/cpu/",)),
    ("<omp.h>", r'[<"]omp\.h\b', ("kernels/cpu/",)),
    ("<<<", r"<<<", ("kernels/cuda/",)),
    ("<cuda_runtime.h>", r'[<"]cuda_runtime',
     ("core/cuda/", "kernels/cuda/", "train/distributed/nccl/", "tests/emulator/")),
    ("<nccl.h>", r'[<"]nccl\.h', ("train/distributed/nccl/", "tests/emulator/")),
    ("<cublas_v2.h>", r'[<"]cublas', ("kernels/cuda/", "tests/emulator/")),
    (".data<...>", r"\.(mutable_)?data<", ELEMENTS),
    ("<cblas.h>", r'[<"]cblas\.h\b', ("kernels/cpu/", "tests/emulator/")),
    ("Highway", r'[<"]hwy/', ("kernels/cpu/", "tests/support/")),
    ("libsndfile", r'[<"]sndfile\.h', ("data/speech/audio.cpp", "tests/support/")),
    ("kissfft", r'[<"]kiss_fft', ("data/speech/fbank.cpp",)),
    ("libmd", r'[<"](md5|sha2)\.h', ("data/checksum.cpp",)),
    ("<fstream>", r"<fstream>", ("core/io/", "data/", "tests/")),
    ("toml++", r'[<"]toml\+\+/|\btoml::',
     ("train/config/config.cpp", "train/config/toml.h", "train/reproduce/toml_table.h",
      "train/reproduce/experiment.cpp")),
    ("<mpi.h>", r'[<"]mpi\.h', ("train/distributed/mpi/",)),
    ("cxxopts", r'[<"]cxxopts|\bcxxopts::', ("train/program/parse.cpp",)),
    ("<png.h>", r'[<"]png\.h', ("data/png.cpp", "tests/support/")),
    ("<doctest/...>", r'[<"]doctest/', ("tests/",)),
    ("<random>", r"<random>|\bstd::(random_device|mt19937(_64)?)\b", ()),
    ("rand()", r"\bs?rand\(", ()),
    ("atomicAdd", r"\batomicAdd\b", ("tests/emulator/",)),
    ("std::cout", r"\bstd::cout\b|<iostream>", ("train/", "tests/", "bench/")),
    ("exit()", r"(?<![.>\w])(std::)?(_exit|exit|abort)\(",
     PROGRAM + ("tests/", "train/reproduce/child_process.cpp", "train/distributed/")),
]

INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')


def row_of(path):
    """The row of LAYERS for a file or header, a path from the root; None for other libraries."""
    rows = [row for row in LAYERS if path.startswith(row + "/")]
    return max(rows, key=len, default=None)


def allowed(folder, header):
    """Whether a file of the folder may include the header, a path from the root."""
    permitted = LAYERS[folder] | {folder}
    row = row_of(header) or header.split("/")[0]
    return header in permitted or row in permitted


def code_of(text):
    """The text without comments, line by line; a `//` inside quotes is left alone."""
    keep = r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/'
    blank = lambda m: m.group(1) or "\n" * m.group(0).count("\n")
    return re.sub(keep, blank, text, flags=re.DOTALL).split("\n")


def errors_of(path):
    name = path.relative_to(ROOT).as_posix()
    folder = row_of(name)
    for number, line in enumerate(code_of(path.read_text(encoding="utf-8")), 1):
        where = f"{name}:{number}:"
        include = INCLUDE.match(line)
        if include and not allowed(folder, include.group(1)):
            yield f"{where} {folder} may not include {include.group(1)}"
        for token, pattern, places in TOKENS:
            if re.search(pattern, line) and not name.startswith(tuple(places)):
                ending = f"here: it belongs in {', '.join(places)}" if places else "anywhere"
                yield f"{where} {token} may not be used {ending}"


# What a file of kernels/cuda defines at the level of the namespace. Kernels have external linkage, and
# templates of one name in two files would be merged by the linker without a word.
DEFINITION = re.compile(r"(?:struct|class) (\w+)(?! *;)|(?:__global__|__device__) [^(;]*?(\w+)\(")


def cuda_errors():
    first = {}
    for path in sorted((ROOT / "kernels/cuda").glob("*")):
        for number, line in enumerate(code_of(path.read_text(encoding="utf-8")), 1):
            match = DEFINITION.match(re.sub(r"(alignas|__launch_bounds__)\([^)]*\) ?", "", line))
            if match is None or line.rstrip().endswith(";"):
                continue
            name = match.group(1) or match.group(2)
            if first.setdefault(name, path) != path:
                yield (f"kernels/cuda/{path.name}:{number}: {name} is defined in {first[name].name} "
                       "too: choose another name, or move it to a header")


def main():
    files = [f for folder in LAYERS if "/" not in folder
             for f in sorted((ROOT / folder).rglob("*"))
             if f.suffix in {".h", ".cpp", ".cu", ".cuh", ".def"}]
    errors = [error for f in files for error in errors_of(f)] + list(cuda_errors())
    for error in errors:
        print(error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
