// The promise of kernels/cpu/parallel.h: the bits do not depend on the number of threads.
#include <doctest/doctest.h>

#include <cstring>

#include "tests/support/kernel_calls.h"
#include "tests/support/threads.h"

namespace tarn::kernels {
namespace {

bool same_bytes(const Tensor& a, const Tensor& b) {
  return std::memcmp(a.raw(), b.raw(), static_cast<std::size_t>(a.bytes())) == 0;
}

void check_threads(DType dtype) {
  for (const test::KernelCall& call : test::kernel_calls()) {
    CAPTURE(call.str());
    const std::vector<Tensor> alone = [&] {
      const test::UseThreads use(1);
      return call.run(dtype);
    }();
    for (const std::int64_t threads : {2, 3, 5}) {
      CAPTURE(threads);
      const test::UseThreads use(threads);
      const std::vector<Tensor> together = call.run(dtype);
      for (std::size_t i = 0; i < alone.size(); ++i) {
        CAPTURE(i);
        CHECK(same_bytes(alone[i], together[i]));
      }
    }
  }
}

TEST_CASE("kernels: any number of threads gives the same f32 bits [thread]") {
  check_threads(DType::f32);
}
TEST_CASE("kernels: any number of threads gives the same f64 bits [thread]") {
  check_threads(DType::f64);
}

}  // namespace
}  // namespace tarn::kernels
