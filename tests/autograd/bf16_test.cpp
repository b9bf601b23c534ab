// Linear layers with bf16 products against the same in f64.
#include <doctest/doctest.h>

#include <cmath>
#include <memory>

#include "autograd/linear.h"
#include "core/check.h"
#include "tests/support/random_tensor.h"

namespace tarn::ad {
namespace {

struct Result {
  Tensor out;
  std::vector<Tensor> grads;
};

// Forward and backward of a layer of `inputs`, in their type.
template <class Layer>
Result run(const std::vector<Tensor>& inputs, const Layer& layer) {
  std::vector<std::unique_ptr<Parameter>> parameters;
  for (const Tensor& x : inputs) parameters.push_back(std::make_unique<Parameter>("x", x));
  Tape tape;
  Result result;
  {
    const Recording recording = tape.record();
    result.out = layer(parameters);
  }
  tape.backward(result.out,
                test::random_tensor(result.out.shape(), result.out.dtype(), "grad_out"));
  for (const auto& p : parameters) result.grads.push_back(p->grad());
  return result;
}

// The norm of the difference over that of b.
double error(const Tensor& a, const Tensor& b) {
  double difference = 0, size = 0;
  for (std::int64_t i = 0; i < a.elements(); ++i) {
    const double x = test::get(a, i), y = test::get(b, i);
    difference += (x - y) * (x - y);
    size += y * y;
  }
  return std::sqrt(difference / size);
}

void scale(const Tensor& x, double factor) {
  for (std::int64_t i = 0; i < x.elements(); ++i) test::set(x, i, factor * test::get(x, i));
}

// bf16 keeps 8 bits: a factor is off by 2^-9 at most, a product of random signs by a part of that.
// The first input is `size` times a normal number.
template <class Layer>
void check_layer(const std::vector<Shape>& shapes, const Layer& layer, double size = 1) {
  std::vector<Tensor> f32, f64;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    f32.push_back(test::random_tensor(shapes[i], DType::f32, message("input", i)));
    if (i == 0) scale(f32.back(), size);
    f64.push_back(test::cast(f32.back(), DType::f64));
  }
  const Result exact = run(f64, [&](const auto& in) { return layer(in, Compute::own_type); });
  const Result bf16 = run(f32, [&](const auto& in) { return layer(in, Compute::bf16_emulated); });
  CHECK(error(bf16.out, exact.out) < 5e-3);
  CHECK(error(bf16.out, exact.out) > 1e-5);  // f32 would be nearer
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    CAPTURE(i);
    CHECK(error(bf16.grads[i], exact.grads[i]) < 1e-2);
  }
}

}  // namespace

TEST_CASE("bf16: a linear layer's output and gradients are near those in f64") {
  check_layer({{3, 100, 63}, {257, 63}, {257}}, [](const auto& in, Compute compute) {
    return linear(in[0]->tensor(), in[1]->tensor(), in[2]->tensor(), {.activation = Unary::gelu},
                  compute);
  });
}

// bf16 reaches as far as f32, where f16 ends at 65,504.
TEST_CASE("bf16: inputs up to 1e30 give an output and gradients that are finite and near f64's") {
  for (const double size : {1e6, 1e15, 1e30}) {
    CAPTURE(size);
    check_layer(
        {{3, 100, 63}, {257, 63}, {257}},
        [](const auto& in, Compute compute) {
          return linear(in[0]->tensor(), in[1]->tensor(), in[2]->tensor(), {}, compute);
        },
        size);
  }
}

TEST_CASE("bf16: f64 tensors are refused") {
  const Tensor x = test::random_tensor({2, 3}, DType::f64, "x");
  CHECK_THROWS_WITH_AS(linear(x, x, {}, {}, Compute::bf16_emulated),
                       doctest::Contains("must be f32 for bf16 products"), DTypeError);
}

}  // namespace tarn::ad
