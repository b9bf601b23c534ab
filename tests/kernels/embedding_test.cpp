#include "kernels/embedding.h"

#include <doctest/doctest.h>

#include <limits>

#include "kernels/table.h"
#include "tests/reference/ops.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::full;
using test::get;
using test::random_tensor;

const Device kCpu = Device::cpu();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t kVocabulary = 7;

// Many of each token, in no order.
Tensor tokens_of(std::int64_t count) {
  Tensor tokens = Tensor::empty({count}, DType::i32, kCpu);
  const RngAddress at{1, site_of("tokens"), 0};
  for (std::int64_t i = 0; i < count; ++i) {
    test::set(tokens, i, random_below(at, static_cast<std::uint64_t>(i), kVocabulary));
  }
  return tokens;
}

TEST_CASE("embedding: forward copies rows, into rows that may be apart") {
  for (const std::int64_t width : {1, 63, 257}) {
    const Tensor tokens = tokens_of(1000);
    const Tensor weight = random_tensor({kVocabulary, width}, DType::f32, "weight");
    const Tensor wide = full({1000, width + 2}, DType::f32, 77);
    const Tensor out = wide.slice(1, 1, width);
    run(&Table::embedding_forward, kCpu, {.tokens = tokens, .weight = weight, .out = out});
    CHECK(test::max_abs_difference(out, reference::embedding(tokens, weight)) == 0);
    CHECK(get(wide, {0, 0}) == 77);
    CHECK(get(wide, {999, width + 1}) == 77);
  }
}

TEST_CASE("embedding: backward adds each token's rows in their order") {
  for (const std::int64_t width : {1, 15, 16, 63, 257}) {
    for (const float beta : {0.0F, 1.0F, 0.5F}) {
      CAPTURE(width);
      const Tensor tokens = tokens_of(1000);
      const Tensor grad_out = random_tensor({1000, width}, DType::f32, "grad_out");
      const Tensor grad = beta == 0 ? full({kVocabulary, width}, DType::f32, kNaN)
                                    : random_tensor({kVocabulary, width}, DType::f32, "old");
      std::vector<float> expected(static_cast<std::size_t>(grad.elements()));
      for (std::size_t i = 0; i < expected.size() && beta != 0; ++i) {
        expected[i] = beta * grad.data<float>()[i];
      }
      for (std::int64_t r = 0; r < 1000; ++r) {
        float* row = expected.data() + tokens.data<std::int32_t>()[r] * width;
        for (std::int64_t i = 0; i < width; ++i) row[i] += grad_out.data<float>()[r * width + i];
      }
      run(&Table::embedding_backward, kCpu,
          {.tokens = tokens, .grad_out = grad_out, .grad_weight = grad, .beta = beta});
      // To the bit: a sum in another order would differ.
      CHECK(std::equal(expected.begin(), expected.end(), grad.data<float>()));
    }
  }
}

TEST_CASE("embedding: a token that is not read gets a gradient of zero") {
  const Tensor tokens = full({5}, DType::i32, 2);
  const Tensor grad = full({4, 3}, DType::f64, kNaN);
  run(&Table::embedding_backward, kCpu,
      {.tokens = tokens, .grad_out = full({5, 3}, DType::f64, 1), .grad_weight = grad});
  for (std::int64_t i = 0; i < 12; ++i) CHECK(get(grad, i) == (i / 3 == 2 ? 5 : 0));
}

}  // namespace
}  // namespace tarn::kernels
