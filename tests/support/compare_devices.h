// Compares kernels of other devices with the CPU's, on the same inputs.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <vector>

#include "tests/support/devices.h"
#include "tests/support/random_tensor.h"

namespace tarn::test {

inline const std::vector<DType> kFloats = {DType::f32, DType::f64};

// What a few roundings make of a result, in units of its largest element.
constexpr double rounding(DType dtype) { return dtype == DType::f32 ? 1e-6 : 1e-14; }

// Runs a call of kernels on every device and wants the CPU's results within `tolerance`, in units
// of the largest element, and the same bits each time. The call makes its inputs itself, since it
// may overwrite them. Where there is no other device, it runs on the CPU alone and compares
// nothing.
inline void compare(DType dtype, double tolerance,
                    const std::function<std::vector<Tensor>(Device)>& call) {
  CAPTURE(name_of(dtype));
  std::vector<Tensor> expected, first;  // of the CPU, and of the first run elsewhere
  for_each_device([&](Device device) {
    std::vector<Tensor> results = call(device);
    for (Tensor& t : results) t = on_host(t);
    if (device == Device::cpu()) {
      expected = results;
      return;
    }
    REQUIRE(results.size() == expected.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      CAPTURE(i);
      CHECK(relative_difference(results[i], expected[i]) <= tolerance);
      if (!first.empty()) CHECK(max_abs_difference(results[i], first[i]) == 0);
    }
    first = results;
  });
}

// The same for each case of a kernel of attention, whose tensors are stored with positions first
// and with heads first in turn, in both dtypes: run(case, dtype, device, heads_first).
template <class Case, class Run>
void compare_attention(const std::vector<Case>& cases, const Run& run) {
  bool heads_first = false;
  for (const Case& c : cases) {
    CAPTURE(c.str());
    heads_first = !heads_first;
    for (const DType dtype : kFloats) {
      compare(dtype, dtype == DType::f32 ? 1e-5 : 1e-12,
              [&](Device device) { return run(c, dtype, device, heads_first); });
    }
  }
}

}  // namespace tarn::test
