#include "kernels/causal_linear_attention.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/table.h"
#include "tests/reference/attention.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/random_tensor.h"
#include "tests/support/threads.h"

namespace tarn::kernels {
namespace {

using reference::Attention;
using reference::AttentionGradients;
using test::copy_of;
using test::from_vector;
using test::full;
using test::get;
using test::max_abs_difference;
using test::random_tensor;
using test::relative_difference;

const Device kCpu = Device::cpu();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Case {
  std::int64_t batch, length, heads, width, out_width;
  std::vector<double> lengths = {};

  std::string str() const {
    return message(batch, " x ", length, " x ", heads, " x ", width, " x ", out_width,
                   lengths.empty() ? "" : " lengths");
  }
};

// Positive, as a feature map makes queries and keys.
Tensor features(const Shape& shape, DType dtype, const char* name) {
  Tensor t = random_tensor(shape, dtype, name);
  for (std::int64_t i = 0; i < t.elements(); ++i) {
    const double x = get(t, i);
    test::set(t, i, x > 0 ? x + 1 : std::exp(x));
  }
  return t;
}

Attention problem(const Case& c, DType dtype) {
  return {.query = features({c.batch, c.length, c.heads, c.width}, dtype, "query"),
          .key = features({c.batch, c.length, c.heads, c.width}, dtype, "key"),
          .value = random_tensor({c.batch, c.length, c.heads, c.out_width}, dtype, "value"),
          .lengths = c.lengths.empty() ? Tensor() : from_vector({c.batch}, c.lengths, DType::i32),
          .causal = true,
          .eps = 1e-6};
}

struct Outputs {
  Tensor out, inverse_sum;
};

void forward_into(const Attention& a, const Outputs& o) {
  run(&Table::causal_linear_attention_forward, kCpu,
      {.query = a.query,
       .key = a.key,
       .value = a.value,
       .lengths = a.lengths,
       .eps = a.eps,
       .out = o.out,
       .inverse_sum = o.inverse_sum});
}

Outputs forward(const Attention& a) {
  const Shape q = a.query.shape();
  Outputs outputs{full(q.without_last().with(a.value.size(3)), a.query.dtype(), kNaN),
                  full({q[0], q[2], q[1]}, a.query.dtype(), kNaN)};
  forward_into(a, outputs);
  return outputs;
}

void backward_into(const Attention& a, const Outputs& o, const Tensor& grad_out,
                   const AttentionGradients& grads, double beta = 0) {
  run(&Table::causal_linear_attention_backward, kCpu,
      {.query = a.query,
       .key = a.key,
       .value = a.value,
       .lengths = a.lengths,
       .out = o.out,
       .inverse_sum = o.inverse_sum,
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
  return random_tensor(a.query.shape().without_last().with(a.value.size(3)), a.query.dtype(),
                       "grad_out");
}

// The largest difference, each in units of its row's largest element or of 1 % of all rows'
// largest, whichever is more: gradients fall with the position, and small rows count too.
double mixed_difference(const Tensor& a, const Tensor& b) {
  const double all = test::max_abs(b);
  const std::int64_t width = b.size(-1), rows = b.elements() / width;
  double worst = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    double unit = 0.01 * all, difference = 0;
    for (std::int64_t i = r * width; i < (r + 1) * width; ++i) {
      unit = std::max(unit, std::abs(get(b, i)));
      const double d = std::abs(get(a, i) - get(b, i));
      if (!(d <= difference)) difference = d;
    }
    if (!(difference <= worst * unit)) worst = difference / unit;
  }
  return worst;
}

const std::vector<Case> kCases = {
    {1, 1, 1, 1, 1},      {2, 2, 2, 3, 1},
    {2, 63, 2, 24, 63},   {2, 64, 2, 32, 32},
    {1, 65, 2, 1, 24},    {1, 100, 3, 63, 3},
    {1, 128, 1, 24, 24},  {2, 257, 1, 3, 63},
    {1, 1000, 1, 24, 32}, {4, 130, 2, 3, 5, {0, 1, 64, 130}},
};

TEST_CASE("causal_linear: forward is the quadratic sum") {
  for (const Case& c : kCases) {
    CAPTURE(c.str());
    const Attention wide = problem(c, DType::f64), narrow = problem(c, DType::f32);
    const Tensor expected = reference::causal_linear_attention(wide);
    const Tensor inverse_sum = reference::linear_inverse_sum(wide);
    const Tensor of_narrow = reference::causal_linear_attention(narrow);
    test::for_each_instruction_set([&](const std::string& name) {
      CAPTURE(name);
      const Outputs exact = forward(wide);
      CHECK(mixed_difference(exact.out, expected) < 1e-11);
      CHECK(relative_difference(exact.inverse_sum, inverse_sum) < 1e-12);
      CHECK(mixed_difference(forward(narrow).out, of_narrow) < 1e-5);
    });
  }
}

TEST_CASE("causal_linear: backward is the quadratic sum's") {
  for (const Case& c : kCases) {
    CAPTURE(c.str());
    for (const DType dtype : {DType::f32, DType::f64}) {
      Attention a = problem(c, dtype);
      a.eps = 0.1;  // so that a single key has gradients too
      const Tensor grad_out = gradient_of_output(a);
      const auto expected = reference::causal_linear_attention_backward(a, grad_out);
      // A width of 1 cancels in the division: what is left of its gradient is eps's part.
      const double tolerance = dtype == DType::f32 ? (c.width == 1 ? 5e-4 : 1e-4) : 1e-11;
      test::for_each_instruction_set([&](const std::string& name) {
        CAPTURE(name);
        const AttentionGradients got = backward(a, grad_out);
        CHECK(mixed_difference(got.query, expected.query) < tolerance);
        CHECK(mixed_difference(got.key, expected.key) < tolerance);
        CHECK(mixed_difference(got.value, expected.value) < tolerance);
      });
    }
  }
}

// On one thread the heads of a sequence take turns, stretch by stretch.
TEST_CASE("causal_linear: over more than one stretch, and the same beside other heads as alone") {
  const test::UseThreads use(1);
  const Attention a = problem({1, 2100, 2, 2, 1}, DType::f64);
  const Tensor grad_out = gradient_of_output(a);
  const Tensor out = forward(a).out;
  const AttentionGradients grads = backward(a, grad_out);
  CHECK(mixed_difference(out, reference::causal_linear_attention(a)) < 1e-11);
  const auto expected = reference::causal_linear_attention_backward(a, grad_out);
  CHECK(mixed_difference(grads.query, expected.query) < 1e-10);
  CHECK(mixed_difference(grads.key, expected.key) < 1e-10);
  CHECK(mixed_difference(grads.value, expected.value) < 1e-10);
  for (std::int64_t h = 0; h < 2; ++h) {
    const auto head = [h](const Tensor& t) { return copy_of(t.slice(2, h, 1)); };
    Attention alone = a;
    for (Tensor* t : {&alone.query, &alone.key, &alone.value}) *t = head(*t);
    CHECK(max_abs_difference(forward(alone).out, head(out)) == 0);
    const AttentionGradients own = backward(alone, head(grad_out));
    CHECK(max_abs_difference(own.query, head(grads.query)) == 0);
    CHECK(max_abs_difference(own.key, head(grads.key)) == 0);
    CHECK(max_abs_difference(own.value, head(grads.value)) == 0);
  }
}

TEST_CASE("causal_linear: takes the heads of one projection in place") {
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
    // Heads outside, [N, H, L, M], seen as [N, L, H, M].
    const Outputs outputs{full({batch, heads, length, width}, dtype, kNaN).transpose(1, 2),
                          full({batch, heads, length}, dtype, kNaN)};
    forward_into(strided, outputs);
    CHECK(max_abs_difference(outputs.out, forward(dense).out) == 0);

    const Tensor grad_out = random_tensor({batch, 1, heads, width}, dtype, "grad")
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

TEST_CASE("causal_linear: adds to beta times the old gradients") {
  const Attention a = problem({3, 70, 2, 3, 5, {0, 3, 70}}, DType::f64);
  const Tensor grad_out = gradient_of_output(a);
  const AttentionGradients fresh = backward(a, grad_out);
  const Outputs outputs = forward(a);
  for (const double beta : {1.0, 0.5}) {
    const AttentionGradients sums{random_tensor(a.query.shape(), DType::f64, "old query"),
                                  random_tensor(a.key.shape(), DType::f64, "old key"),
                                  random_tensor(a.value.shape(), DType::f64, "old value")};
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

TEST_CASE("causal_linear: a masked key or value is never read") {
  const Attention a = problem({2, 70, 2, 3, 5, {0, 65}}, DType::f64);
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
  CHECK(test::max_abs(out.select(0, 0)) == 0);
}

TEST_CASE("causal_linear: f32 stays accurate over 16,384 positions") {
  const Case c{1, 16384, 1, 32, 32};
  const Attention narrow = problem(c, DType::f32);
  Attention wide = narrow;  // the same numbers, widened
  for (Tensor* t : {&wide.query, &wide.key, &wide.value}) *t = test::cast(*t, DType::f64);
  const Tensor grad_out = gradient_of_output(narrow);
  CHECK(mixed_difference(forward(narrow).out, forward(wide).out) < 1e-4);
  const AttentionGradients got = backward(narrow, grad_out);
  const AttentionGradients expected = backward(wide, test::cast(grad_out, DType::f64));
  CHECK(mixed_difference(got.query, expected.query) < 1e-3);
  CHECK(mixed_difference(got.key, expected.key) < 1e-3);
  CHECK(mixed_difference(got.value, expected.value) < 1e-3);
}

}  // namespace
}  // namespace tarn::kernels
