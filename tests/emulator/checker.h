// The checker: every access of a kernel to memory is compared with what may be accessed, what was
// written, and what other threads did since the last barrier.
//
// Kernels are compiled with -fsanitize=thread, which puts a call before each access, and linked
// with the functions of checker.cpp in place of the sanitizer's own library.
#pragma once

#include <cstddef>

namespace emulator {

// An access of the running thread; `site` is the address of the code. Nothing on the host.
void check_access(const void* address, std::size_t bytes, bool write, bool atomic,
                  const void* site);

// What a copy or a library call does with device memory, as a whole: `what` begins the reports.
// Reading memory that was never written is a fault.
void check_read(const void* address, std::size_t bytes, const char* what);
void check_write(void* address, std::size_t bytes, const char* what);
// A copy within device memory: what was never written stays so.
void check_copy(void* to, const void* from, std::size_t bytes, const char* what);

}  // namespace emulator
