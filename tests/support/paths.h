// Where the tests find what the build made and what the source tree holds. The paths are compiled
// into one file only, so that a compiler cache serves every checkout.
#pragma once

#include <filesystem>

namespace tarn::test {

std::filesystem::path source_dir();      // the root of the source tree
std::filesystem::path program();         // the program tarn
std::filesystem::path fault_injector();  // the library that tests preload to make system calls fail

}  // namespace tarn::test
