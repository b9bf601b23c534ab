#include "tests/support/paths.h"

namespace tarn::test {

std::filesystem::path source_dir() { return TARN_SOURCE_DIR; }
std::filesystem::path program() { return TARN_PROGRAM; }
std::filesystem::path fault_injector() { return TARN_FAULT_INJECTOR; }

}  // namespace tarn::test
