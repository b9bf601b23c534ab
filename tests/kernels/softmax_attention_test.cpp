#include "kernels/softmax_attention.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/rng.h"
#include "core/tensor.h"
#include "kernels/table.h"
#include "tests/reference/attention.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using reference::Attention;
using reference::AttentionGradients;
using test::central_difference;
using test::copy_of;
using test::from_vector;
using test::full;
using test::get;
using test::max_abs_difference;
using test::random_tensor;
using test::relative_difference;

struct Case {
  std::int64_t batch, queries, keys, heads, width, out_width;
  bool causal = false;
  double dropout = 0;
  std::vector<double> lengths = {};

  std::string str() const {
    std::string text = message(batch, " x ", queries, " x ", keys, " x ", heads, " x ", width,
                               " x ", out_width, causal ? " causal" : "", " dropout ", dropout);
    for (const double length : lengths)
      text.append(" ").append(std::to_string(static_cast<int>(length)));
    return text;
  }
};

Attention problem(const Case& c, DType dtype) {
  return {.query = random_tensor({c.batch, c.queries, c.heads, c.width}, dtype, "query"),
          .key = random_tensor({c.batch, c.keys, c.heads, c.width}, dtype, "key"),
          .value = random_tensor({c.batch, c.keys, c.heads, c.out_width}, dtype, "value"),
          .lengths = c.lengths.empty() ? Tensor() : from_vector({c.batch}, c.lengths, DType::i32),
          .causal = c.causal,
          .scale = 1 / std::sqrt(static_cast<double>(c.width)),
          .dropout = c.dropout,
          .address = {7, site_of("attention"), 3}};
}

struct Outputs {
  Tensor out, log_sum_exp;
};

Tensor nan_like(const Tensor& t) {
  return full(t.shape(), t.dtype(), std::numeric_limits<double>::quiet_NaN());
}

void forward_into(const Attention& a, const Outputs& outputs) {
  run(&Table::softmax_attention_forward, Device::cpu(),
      {.query = a.query,
       .key = a.key,
       .value = a.value,
       .lengths = a.lengths,
       .scale = a.scale,
       .causal = a.causal,
       .dropout = a.dropout,
       .address = a.address,
       .out = outputs.out,
       .log_sum_exp = outputs.log_sum_exp});
}

Outputs forward(const Attention& a) {
  const DType dtype = a.query.dtype();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Outputs outputs{
      full({a.query.size(0), a.query.size(1), a.query.size(2), a.value.size(3)}, dtype, nan),
      full({a.query.size(0), a.query.size(2), a.query.size(1)}, dtype, nan)};
  forward_into(a, outputs);
  return outputs;
}

void backward_into(const Attention& a, const Outputs& outputs, const Tensor& grad_out,
                   const AttentionGradients& grads, double beta = 0) {
  run(&Table::softmax_attention_backward, Device::cpu(),
      {.query = a.query,
       .key = a.key,
       .value = a.value,
       .lengths = a.lengths,
       .scale = a.scale,
       .causal = a.causal,
       .dropout = a.dropout,
       .address = a.address,
       .out = outputs.out,
       .log_sum_exp = outputs.log_sum_exp,
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
  AttentionGradients grads{nan_like(a.query), nan_like(a.key), nan_like(a.value)};
  backward_into(a, forward(a), grad_out, grads);
  return grads;
}

Tensor gradient_of_output(const Attention& a) {
  return random_tensor({a.query.size(0), a.query.size(1), a.query.size(2), a.value.size(3)},
                       a.query.dtype(), "grad_out");
}

// Sizes on both sides of the tile of 64, odd widths, masks of every kind and their mixtures.
const std::vector<Case> kCases = {
    {1, 1, 1, 1, 1, 1},
    {2, 1, 5, 3, 3, 2, true},
    {2, 63, 63, 2, 5, 7, true},
    {2, 64, 64, 2, 32, 32, true},
    {1, 65, 65, 2, 9, 3, true},
    {1, 100, 100, 1, 17, 33},
    {1, 257, 257, 1, 8, 5, true},
    {2, 65, 130, 2, 4, 6, true},
    {2, 130, 65, 2, 4, 6},
    {1, 130, 60, 1, 4, 6, true},
    {4, 70, 70, 1, 3, 5, false, 0, {0, 1, 64, 70}},
    {4, 70, 129, 2, 3, 5, true, 0, {0, 65, 128, 129}},
    {2, 65, 67, 2, 3, 5, false, 0.3},
    {3, 130, 130, 1, 3, 5, true, 0.1, {130, 0, 77}},
};

TEST_CASE("softmax attention is its reference in f64") {
  for (const Case& c : kCases) {
    CAPTURE(c.str());
    const Attention a = problem(c, DType::f64);
    const auto [out, log_sum_exp] = forward(a);
    CHECK(max_abs_difference(out, reference::softmax_attention(a)) < 1e-12);
    CHECK(max_abs_difference(log_sum_exp, reference::log_sum_exp(a)) < 1e-12);
  }
}

TEST_CASE("softmax attention is its reference in f32") {
  for (const Case& c : kCases) {
    CAPTURE(c.str());
    const Attention a = problem(c, DType::f32);
    const auto [out, log_sum_exp] = forward(a);
    CHECK(max_abs_difference(out, reference::softmax_attention(a)) < 4e-6);
    CHECK(max_abs_difference(log_sum_exp, reference::log_sum_exp(a)) < 4e-6);
  }
}

TEST_CASE("softmax attention's gradients are finite differences") {
  const std::vector<Case> cases = {
      {2, 5, 7, 2, 3, 5},
      {2, 7, 7, 2, 3, 1, true},
      {3, 5, 9, 1, 1, 3, true, 0, {0, 4, 9}},
      {2, 5, 3, 1, 3, 2, true},
      {2, 5, 7, 2, 3, 5, false, 0.3},
      {1, 70, 67, 1, 3, 2, false, 0.2, {66}},
      {1, 66, 130, 1, 2, 3, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.str());
    const Attention a = problem(c, DType::f64);
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
      const std::int64_t step = input.elements() / 100 + 1;
      for (std::int64_t i = 0; i < input.elements(); i += step) {
        const double difference = std::abs(get(grad, i) - central_difference(input, i, loss));
        if (!(difference <= worst)) worst = difference;
      }
      return worst / test::max_abs(grad);
    };
    CHECK(worst_of(a.query, grads.query) < 1e-7);
    CHECK(worst_of(a.key, grads.key) < 1e-7);
    CHECK(worst_of(a.value, grads.value) < 1e-7);
  }
}

TEST_CASE("softmax attention's gradients in f32 are those in f64") {
  for (const Case& c : kCases) {
    CAPTURE(c.str());
    const Attention narrow = problem(c, DType::f32);
    Attention wide = narrow;
    for (Tensor* t : {&wide.query, &wide.key, &wide.value}) *t = test::cast(*t, DType::f64);
    const Tensor grad_out = gradient_of_output(narrow);
    const AttentionGradients got = backward(narrow, grad_out);
    const AttentionGradients expected = backward(wide, test::cast(grad_out, DType::f64));
    // One key is certain, whatever the query: those gradients are 0 but for rounding.
    const bool certain = c.keys == 1;
    CHECK((certain ? max_abs_difference(got.query, expected.query)
                   : relative_difference(got.query, expected.query)) < 1e-5);
    CHECK((certain ? max_abs_difference(got.key, expected.key)
                   : relative_difference(got.key, expected.key)) < 1e-5);
    CHECK(relative_difference(got.value, expected.value) < 1e-5);
  }
}

TEST_CASE("softmax attention takes the heads of one projection in place") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const std::int64_t batch = 2, length = 70, heads = 3, width = 5;
    const Tensor packed = random_tensor({batch, length, 3, heads, width}, dtype, "packed");
    const Tensor grad_packed = full(packed.shape(), dtype, 0.5);
    const Attention strided{.query = packed.select(2, 0),
                            .key = packed.select(2, 1),
                            .value = packed.select(2, 2),
                            .lengths = from_vector({batch}, {70, 33}, DType::i32),
                            .causal = true,
                            .dropout = 0.1};
    Attention dense = strided;
    for (Tensor* t : {&dense.query, &dense.key, &dense.value}) *t = copy_of(*t);
    // Heads outside, [N, H, L, M], seen as [N, L, H, M].
    const Tensor out = full({batch, heads, length, width}, dtype, 9).transpose(1, 2);
    const Tensor grad_out =
        random_tensor({batch, heads, length, width}, dtype, "grad").transpose(1, 2);
    const Outputs outputs{out, full({batch, heads, length}, dtype, 9)};
    forward_into(strided, outputs);
    CHECK(max_abs_difference(out, forward(dense).out) == 0);

    const AttentionGradients grads{grad_packed.select(2, 0), grad_packed.select(2, 1),
                                   grad_packed.select(2, 2)};
    backward_into(strided, outputs, grad_out, grads);
    const AttentionGradients expected = backward(dense, copy_of(grad_out));
    CHECK(relative_difference(grads.query, expected.query) < 1e-6);
    CHECK(relative_difference(grads.key, expected.key) < 1e-6);
    CHECK(relative_difference(grads.value, expected.value) < 1e-6);
  }
}

TEST_CASE("softmax attention takes expanded rows") {
  const Attention a = problem({2, 5, 5, 2, 3, 3}, DType::f64);
  const Tensor grad_out = random_tensor({2, 1, 2, 3}, DType::f64, "grad").expand({2, 5, 2, 3});
  Attention expanded = a;
  expanded.query = a.query.slice(1, 0, 1).expand({2, 5, 2, 3});
  Attention dense = expanded;
  dense.query = copy_of(expanded.query);
  CHECK(max_abs_difference(forward(expanded).out, forward(dense).out) == 0);
  const AttentionGradients got = backward(expanded, grad_out);
  const AttentionGradients expected = backward(dense, copy_of(grad_out));
  CHECK(max_abs_difference(got.query, expected.query) == 0);
  CHECK(max_abs_difference(got.key, expected.key) == 0);
  CHECK(max_abs_difference(got.value, expected.value) == 0);
}

TEST_CASE("softmax attention adds to beta times the old gradients") {
  for (const Case& c :
       {Case{3, 66, 70, 2, 3, 5, true, 0.1, {0, 3, 70}}, Case{1, 130, 60, 1, 3, 5, true}}) {
    CAPTURE(c.str());
    const Attention a = problem(c, DType::f64);
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
}

TEST_CASE("softmax attention never reads a masked key") {
  const Attention a = problem({2, 66, 70, 2, 3, 5, false, 0.1, {0, 65}}, DType::f64);
  const Tensor grad_out = gradient_of_output(a);
  const Tensor out = forward(a).out;
  const AttentionGradients clean = backward(a, grad_out);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Tensor& t : {a.key, a.value}) {
    test::fill(t.select(0, 0), nan);
    test::fill(t.select(0, 1).slice(0, 65, 5), nan);
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

TEST_CASE("softmax attention shows a NaN") {
  const Attention a = problem({1, 3, 70, 1, 3, 2}, DType::f32);
  test::set(a.key, {0, 1, 0, 1}, std::numeric_limits<double>::quiet_NaN());
  const auto [out, log_sum_exp] = forward(a);
  CHECK(std::isnan(get(out, 0)));
  CHECK(std::isnan(get(log_sum_exp, 0)));
}

TEST_CASE("softmax attention survives scores that exp cannot hold") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Attention a = problem({1, 66, 130, 1, 3, 2, true}, dtype);
    a.scale = 2000;
    const auto [out, log_sum_exp] = forward(a);
    CHECK(max_abs_difference(out, reference::softmax_attention(a)) < 2e-2);
    CHECK(relative_difference(log_sum_exp, reference::log_sum_exp(a)) < 1e-6);
    CHECK(std::isfinite(test::max_abs(backward(a, gradient_of_output(a)).query)));
  }
}

TEST_CASE("softmax attention drops the share of weights that was asked for") {
  // With an identity as values the outputs are the weights themselves.
  Attention a = problem({2, 130, 97, 2, 3, 97, false, 0.25}, DType::f64);
  test::fill(a.value, 0);
  for (std::int64_t n = 0; n < 2; ++n) {
    for (std::int64_t h = 0; h < 2; ++h) {
      for (std::int64_t s = 0; s < 97; ++s) test::set(a.value, {n, s, h, s}, 1);
    }
  }
  const Tensor weights = forward(a).out;
  Attention whole = a;
  whole.dropout = 0;
  const Tensor undropped = forward(whole).out;
  std::int64_t kept = 0, wrong = 0;
  double worst = 0;
  for (std::int64_t n = 0; n < 2; ++n) {
    for (std::int64_t l = 0; l < 130; ++l) {
      for (std::int64_t h = 0; h < 2; ++h) {
        for (std::int64_t s = 0; s < 97; ++s) {
          const double weight = get(weights, {n, l, h, s});
          const bool keep = reference::kept(a, n, h, l, s);
          kept += weight != 0;
          wrong += (weight != 0) != keep;
          if (keep) worst = std::max(worst, std::abs(weight * 0.75 - get(undropped, {n, l, h, s})));
        }
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(worst < 1e-14);
  // 50,440 weights: 0.01 is five standard deviations.
  CHECK(std::abs(static_cast<double>(kept) / (2 * 130 * 2 * 97) - 0.75) < 0.01);
}

}  // namespace
}  // namespace tarn::kernels
