// What the authors' library computed for a small model of the copy task: docs/porting_weights.md.
#pragma once

#include <filesystem>

#include "tests/support/paths.h"

namespace tarn::test {

inline std::filesystem::path golden_file() {
  return source_dir() / "tests" / "golden" / "copy_causal-linear.safetensors";
}

}  // namespace tarn::test
