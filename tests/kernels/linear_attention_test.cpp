#include "kernels/linear_attention.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "kernels/table.h"
#include "tests/reference/attention.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using reference::Attention;
using reference::AttentionGradients;
using test::copy_of;
using test::from_vector;
using test::full;
using test::get;
using test::max_abs_difference;
using test::relative_difference;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Case {
  std::int64_t batch, queries, keys, heads, width, out_width;
  std::vector<double> lengths = {};

  std::string str() const {
    std::string text = message(batch, " x ", queries, " x ", keys, " x ", heads, " x ", width,
                               " x ", out_width, " lengths");
    for (const double length : lengths)
      text.append(" ").append(std::to_string(static_cast<int>(length)));
    return text;
  }
};

// Positive, as a feature map makes queries and keys.
Tensor features(const Shape& shape, DType dtype, const char* name) {
  Tensor t = test::random_tensor(shape, dtype, name);
  for (std::int64_t i = 0; i < t.elements(); ++i) {
    const double x = get(t, i);
    test::set(t, i, x > 0 ? x + 1 : std::exp(x));
  }
  return t;
}

Attention problem(const Case& c, DType dtype) {
  return {.query = features({c.batch, c.queries, c.heads, c.width}, dtype, "query"),
          .key = features({c.batch, c.keys, c.heads, c.width}, dtype, "key"),
          .value = test::random_tensor({c.batch, c.keys, c.heads, c.out_width}, dtype, "value"),
          .lengths = c.lengths.empty() ? Tensor() : from_vector({c.batch}, c.lengths, DType::i32),
          .eps = 1e-6};
}

struct Outputs {
  Tensor out, inverse_sum, sum, key_sum;
};

Outputs outputs_for(const Attention& a) {
  const DType dtype = a.query.dtype();
  const std::int64_t batch = a.query.size(0), heads = a.query.size(2), width = a.query.size(3);
  return {full({batch, a.query.size(1), heads, a.value.size(3)}, dtype, kNaN),
          full({batch, heads, a.query.size(1)}, dtype, kNaN),
          full({batch, heads, width, a.value.size(3)}, dtype, kNaN),
          full({batch, heads, width}, dtype, kNaN)};
}

void forward_into(const Attention& a, const Outputs& o) {
  run(&Table::linear_attention_forward, Device::cpu(),
      {.query = a.query,
       .key = a.key,
       .value = a.value,
       .lengths = a.lengths,
       .eps = a.eps,
       .out = o.out,
       .inverse_sum = o.inverse_sum,
       .sum = o.sum,
       .key_sum = o.key_sum});
}

Outputs forward(const Attention& a) {
  Outputs outputs = outputs_for(a);
  forward_into(a, outputs);
  return outputs;
}

void backward_into(const Attention& a, const Outputs& o, const Tensor& grad_out,
                   const AttentionGradients& grads, double beta = 0) {
  run(&Table::linear_attention_backward, Device::cpu(),
      {.query = a.query,
       .key = a.key,
       .value = a.value,
       .lengths = a.lengths,
       .out = o.out,
       .inverse_sum = o.inverse_sum,
       .sum = o.sum,
       .key_sum = o.key_sum,
       .grad_out = grad_out,
       .grad_query = grads.query,
       .grad_key = grads.key,
       .grad_value = grads.value,
       .beta_query = beta,
       .beta_key = beta,
       .beta_value = beta});
}

// Into memory full of NaN, which beta 0 must not read.
AttentionGradients backward(const Attention& a, const Tensor& grad_out) {
  const auto nan_like = [](const Tensor& t) { return full(t.shape(), t.dtype(), kNaN); };
  AttentionGradients grads{nan_like(a.query), nan_like(a.key), nan_like(a.value)};
  backward_into(a, forward(a), grad_out, grads);
  return grads;
}

Tensor gradient_of_output(const Attention& a) {
  return test::random_tensor({a.query.size(0), a.query.size(1), a.query.size(2), a.value.size(3)},
                             a.query.dtype(), "grad_out");
}

const std::vector<Case> kCases = {
    {1, 1, 1, 1, 1, 1},     {2, 1, 5, 3, 3, 2},
    {2, 63, 63, 2, 5, 7},   {2, 64, 64, 2, 32, 32},
    {1, 65, 65, 2, 9, 3},   {1, 100, 100, 1, 17, 33},
    {1, 257, 257, 1, 8, 5}, {2, 65, 130, 2, 4, 6},
    {2, 130, 65, 2, 4, 6},  {4, 70, 129, 2, 3, 5, {0, 1, 64, 129}},
};

TEST_CASE("linear attention is its reference") {
  for (const Case& c : kCases) {
    CAPTURE(c.str());
    const Attention wide = problem(c, DType::f64);
    const Outputs exact = forward(wide);
    CHECK(max_abs_difference(exact.out, reference::linear_attention(wide)) < 1e-12);
    CHECK(relative_difference(exact.inverse_sum, reference::linear_inverse_sum(wide)) < 1e-12);
    const Attention narrow = problem(c, DType::f32);
    const Outputs rounded = forward(narrow);
    CHECK(max_abs_difference(rounded.out, reference::linear_attention(narrow)) < 4e-6);
    CHECK(relative_difference(rounded.inverse_sum, reference::linear_inverse_sum(narrow)) < 4e-6);
  }
}

TEST_CASE("linear attention's gradients are its reference's") {
  for (const Case& c : kCases) {
    CAPTURE(c.str());
    for (const DType dtype : {DType::f32, DType::f64}) {
      const Attention a = problem(c, dtype);
      const Tensor grad_out = gradient_of_output(a);
      const AttentionGradients got = backward(a, grad_out);
      const AttentionGradients expected = reference::linear_attention_backward(a, grad_out);
      const double tolerance = dtype == DType::f32 ? 2e-5 : 1e-12;
      // With one key the output is its value but for eps, and the gradients below are nearly 0.
      if (c.keys > 1) {
        CHECK(relative_difference(got.query, expected.query) < tolerance);
        CHECK(relative_difference(got.key, expected.key) < tolerance);
      }
      CHECK(relative_difference(got.value, expected.value) < tolerance);
    }
  }
}

TEST_CASE("linear attention's gradients are finite differences") {
  const std::vector<Case> cases = {
      {2, 5, 7, 2, 3, 5}, {3, 5, 9, 1, 1, 3, {0, 4, 9}}, {1, 70, 67, 1, 3, 2, {66}}};
  for (const Case& c : cases) {
    CAPTURE(c.str());
    Attention a = problem(c, DType::f64);
    a.eps = 0.1;  // so that its part in the gradients shows
    const Tensor grad_out = gradient_of_output(a);
    const AttentionGradients grads = backward(a, grad_out);
    const auto loss = [&] {
      const Tensor out = forward(a).out;
      double sum = 0;
      for (std::int64_t i = 0; i < out.elements(); ++i) sum += get(out, i) * get(grad_out, i);
      return sum;
    };
    const auto worst_of = [&](const Tensor& input, const Tensor& grad) {
      double worst = 0;
      for (std::int64_t i = 0; i < input.elements(); ++i) {
        const double difference = std::abs(get(grad, i) - test::central_difference(input, i, loss));
        if (!(difference <= worst)) worst = difference;
      }
      return worst / test::max_abs(grad);
    };
    CHECK(worst_of(a.query, grads.query) < 1e-7);
    CHECK(worst_of(a.key, grads.key) < 1e-7);
    CHECK(worst_of(a.value, grads.value) < 1e-7);
  }
}

TEST_CASE("linear attention takes the heads of one projection in place") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const std::int64_t batch = 2, length = 70, heads = 3, width = 5;
    const Tensor packed = features({batch, length, 3, heads, width}, dtype, "packed");
    const Tensor grad_packed = full(packed.shape(), dtype, kNaN);
    const Attention strided{.query = packed.select(2, 0),
                            .key = packed.select(2, 1),
                            .value = packed.select(2, 2),
                            .lengths = from_vector({batch}, {70, 33}, DType::i32)};
    Attention dense = strided;
    for (Tensor* t : {&dense.query, &dense.key, &dense.value}) *t = copy_of(*t);
    Outputs outputs = outputs_for(strided);
    // Heads outside, [N, H, L, M], seen as [N, L, H, M].
    outputs.out = full({batch, heads, length, width}, dtype, kNaN).transpose(1, 2);
    forward_into(strided, outputs);
    CHECK(max_abs_difference(outputs.out, forward(dense).out) == 0);

    // One row of gradient for all positions.
    const Tensor grad_out = test::random_tensor({batch, 1, heads, width}, dtype, "grad")
                                .expand({batch, length, heads, width});
    const AttentionGradients grads{grad_packed.select(2, 0), grad_packed.select(2, 1),
                                   grad_packed.select(2, 2)};
    backward_into(strided, outputs, grad_out, grads);
    const AttentionGradients expected = backward(dense, copy_of(grad_out));
    CHECK(max_abs_difference(grads.query, expected.query) == 0);
    CHECK(max_abs_difference(grads.key, expected.key) == 0);
    CHECK(max_abs_difference(grads.value, expected.value) == 0);
  }
}

TEST_CASE("linear attention takes expanded rows") {
  Attention expanded = problem({2, 5, 5, 2, 3, 3}, DType::f64);
  for (Tensor* t : {&expanded.query, &expanded.value}) {
    *t = t->slice(1, 0, 1).expand({2, 5, 2, 3});
  }
  Attention dense = expanded;
  for (Tensor* t : {&dense.query, &dense.value}) *t = copy_of(*t);
  CHECK(max_abs_difference(forward(expanded).out, forward(dense).out) == 0);
  const Tensor grad_out = gradient_of_output(dense);
  const AttentionGradients got = backward(expanded, grad_out);
  const AttentionGradients expected = backward(dense, grad_out);
  CHECK(max_abs_difference(got.query, expected.query) == 0);
  CHECK(max_abs_difference(got.key, expected.key) == 0);
  CHECK(max_abs_difference(got.value, expected.value) == 0);
}

TEST_CASE("linear attention adds to beta times the old gradients") {
  const Attention a = problem({3, 66, 70, 2, 3, 5, {0, 3, 70}}, DType::f64);
  const Tensor grad_out = gradient_of_output(a);
  const AttentionGradients fresh = backward(a, grad_out);
  const Outputs outputs = forward(a);
  for (const double beta : {1.0, 0.5}) {
    const AttentionGradients sums{test::random_tensor(a.query.shape(), DType::f64, "old query"),
                                  test::random_tensor(a.key.shape(), DType::f64, "old key"),
                                  test::random_tensor(a.value.shape(), DType::f64, "old value")};
    const auto expected = [&](const Tensor& old, const Tensor& grad) {
      Tensor sum = copy_of(old);
      for (std::int64_t i = 0; i < sum.elements(); ++i) {
        test::set(sum, i, beta * get(old, i) + get(grad, i));
      }
      return sum;
    };
    const Tensor query = expected(sums.query, fresh.query);
    const Tensor key = expected(sums.key, fresh.key);
    const Tensor value = expected(sums.value, fresh.value);
    backward_into(a, outputs, grad_out, sums, beta);
    CHECK(max_abs_difference(sums.query, query) < 1e-12);
    CHECK(max_abs_difference(sums.key, key) < 1e-12);
    CHECK(max_abs_difference(sums.value, value) < 1e-12);
  }
}

TEST_CASE("linear attention never reads a masked key") {
  const Attention a = problem({2, 66, 70, 2, 3, 5, {0, 65}}, DType::f64);
  const Tensor grad_out = gradient_of_output(a);
  const Tensor out = forward(a).out;
  const AttentionGradients clean = backward(a, grad_out);
  for (const Tensor& t : {a.key, a.value}) {
    test::fill(t.select(0, 0), kNaN);
    test::fill(t.select(0, 1).slice(0, 65, 5), kNaN);
  }
  CHECK(max_abs_difference(forward(a).out, out) == 0);
  const AttentionGradients grads = backward(a, grad_out);
  CHECK(max_abs_difference(grads.query, clean.query) == 0);
  CHECK(max_abs_difference(grads.key, clean.key) == 0);
  CHECK(max_abs_difference(grads.value, clean.value) == 0);
  CHECK(test::max_abs(grads.key.select(0, 1).slice(0, 65, 5)) == 0);
  CHECK(test::max_abs(grads.value.select(0, 1).slice(0, 65, 5)) == 0);
  for (const Tensor& grad : {grads.query, grads.key, grads.value, out}) {
    CHECK(test::max_abs(grad.select(0, 0)) == 0);
  }
}

}  // namespace
}  // namespace tarn::kernels
