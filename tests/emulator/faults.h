// How the parts of the emulated device report faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/emulator/emulator.h"

namespace emulator {

// Reports a fault once for each kernel, kind and site (a code address, or 0 for none); repetitions
// are only counted. Within a kernel the block and thread are put before the text, and the source
// line of the site behind it. Makes the next cudaGetLastError() fail.
void report(FaultKind kind, const std::string& text, const void* site = nullptr);

// The same with the text as it is, for a kernel that is known.
void report_in(const std::string& kernel, FaultKind kind, const std::string& text,
               const void* site);

// "kernels/cuda/copy.cu:31" for an address of code that has debug information, else the address.
std::string source_line(const void* code);

// Text as printf makes it.
[[gnu::format(printf, 1, 2)]] std::string text_of(const char* format, ...);

}  // namespace emulator
