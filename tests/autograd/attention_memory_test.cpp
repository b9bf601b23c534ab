// The paper's claim about memory (section 3.3.1): linear in the length, and no state a position.
#include <doctest/doctest.h>

#include "autograd/causal_linear_attention.h"
#include "autograd/lsh_attention.h"
#include "autograd/tape.h"
#include "core/allocator.h"
#include "tests/support/random_tensor.h"

namespace tarn::ad {
namespace {

constexpr std::int64_t kHeads = 2, kWidth = 32;

// The most that forward and backward have alive at once, of one sequence, inputs not counted.
std::int64_t peak_bytes(std::int64_t length) {
  const Shape shape{1, length, kHeads, kWidth};
  Parameter query("query", test::full(shape, DType::f32, 0.5));
  Parameter key("key", test::full(shape, DType::f32, 0.25));
  Parameter value("value", test::full(shape, DType::f32, 1));
  Allocator& memory = allocator(Device::cpu());
  const std::int64_t before = memory.stats().live;
  memory.reset_peak();
  Tape tape;
  Tensor out;
  {
    const Recording recording = tape.record();
    out = causal_linear_attention({query.tensor(), key.tensor(), value.tensor()}, {}, 1e-6);
  }
  tape.backward(out, out);
  return memory.stats().peak - before;
}

TEST_CASE("causal_linear_attention: memory grows with the length") {
  const auto at_1k = static_cast<double>(peak_bytes(1024));
  const auto at_4k = static_cast<double>(peak_bytes(4096));
  const auto at_16k = static_cast<double>(peak_bytes(16384));
  CHECK(at_4k / at_1k == doctest::Approx(4).epsilon(0.1));
  CHECK(at_16k / at_4k == doctest::Approx(4).epsilon(0.1));
  // Output, its gradient, three gradients, and a number a position, with room for rounding up.
  const double row = 4.0 * kHeads * kWidth;
#if defined(TARN_CHECKED)
  const double rows = 6.6;  // the guard behind a block takes it to the next size
#else
  const double rows = 6;
#endif
  CHECK(at_16k < 16384 * row * rows);
  CHECK(at_16k < 16384 * row * kWidth / 4);  // far below N x E x M
}

TEST_CASE("lsh_attention: memory grows with the length") {
  const auto peak = [](std::int64_t length) {
    const Shape shape{1, length, kHeads, kWidth};
    Parameter query("query", test::full(shape, DType::f32, 0.5));
    Parameter value("value", test::full(shape, DType::f32, 1));
    const Tensor planes = test::full({4, kWidth, 8}, DType::f32, 1);
    Allocator& memory = allocator(Device::cpu());
    const std::int64_t before = memory.stats().live;
    memory.reset_peak();
    Tape tape;
    Tensor out;
    {
      const Recording recording = tape.record();
      out = lsh_attention(query.tensor(), value.tensor(), {}, lsh_order(query.value(), planes, {}),
                          {});
    }
    tape.backward(out, out);
    return static_cast<double>(memory.stats().peak - before);
  };
  const double at_1k = peak(1024), at_4k = peak(4096);
  CHECK(at_4k / at_1k == doctest::Approx(4).epsilon(0.1));
  CHECK(at_4k < 4096 * 4.0 * kHeads * kWidth * 6);
}

}  // namespace
}  // namespace tarn::ad
