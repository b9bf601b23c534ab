#pragma once

#include <algorithm>
#include <filesystem>

#include "core/io/safetensors.h"
#include "tests/support/random_tensor.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {

// The largest difference between the latest parameters of two runs.
inline double parameter_difference(const std::filesystem::path& a, const std::filesystem::path& b) {
  const SafetensorsFile left(latest_checkpoint(a) / "model.safetensors");
  const SafetensorsFile right(latest_checkpoint(b) / "model.safetensors");
  double largest = 0;
  for (const auto& entry : left.entries()) {
    largest = std::max(largest, max_abs_difference(left.read(entry.name), right.read(entry.name)));
  }
  return largest;
}

}  // namespace tarn::test
