// Linear attention of CUDA devices against the CPU's: lengths around the chunks that a block walks,
// several segments of them, head widths that fill a tile and that do not, strides of split heads.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/transfer.h"
#include "kernels/causal_linear_attention.h"
#include "kernels/linear_attention.h"
#include "kernels/table.h"
#include "tests/support/compare_devices.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::compare;
using test::random_tensor;
using Tensors = std::vector<Tensor>;

struct Case {
  std::int64_t batch, length, heads, width, out_width;
  std::vector<double> lengths = {};
  std::int64_t keys = 0;  // as many as queries if 0

  std::string str() const {
    return message("[", batch, ", ", length, "/", keys, ", ", heads, ", ", width, "/", out_width,
                   "]", lengths.empty() ? "" : " lengths");
  }
};

const std::vector<Case> kCases = {
    {1, 1, 1, 1, 1},
    {2, 1, 2, 32, 63},
    {2, 63, 2, 32, 32},
    {1, 63, 2, 64, 64},
    {2, 100, 1, 63, 1},
    {1, 100, 1, 1, 64},
    {3, 100, 1, 32, 64, {0, 37, 100}},
    {1, 257, 1, 64, 32, {200}},
    {1, 100, 1, 128, 128},
    {2, 63, 1, 128, 33, {1, 32}},
    {1, 100, 1, 63, 150},
    {2, 63, 1, 260, 3, {50, 0}},
    {1, 1000, 1, 3, 5, {900}},
};

// Positive, as a feature map makes queries and keys.
void make_features(const Tensor& t) {
  for (std::int64_t i = 0; i < t.elements(); ++i) {
    const double x = test::get(t, i);
    test::set(t, i, x > 0 ? x + 1 : std::exp(x));
  }
}

// [N, L, H, width] between columns of another tensor's, as one product makes queries, keys and
// values; `odd` columns are more than moving four at a time allows.
Tensor split_heads(const Shape& shape, DType dtype, const char* name, Device device, bool features,
                   std::int64_t odd) {
  const std::int64_t columns = shape[2] * shape[3];
  const Tensor all =
      random_tensor({shape[0], shape[1], columns + 2 * odd + 4 * columns}, dtype, name);
  const auto part = [&](const Tensor& t) { return t.slice(2, odd, columns).view(shape); };
  if (features) make_features(part(all));
  return part(copy_to(all, device));
}

struct Problem {
  Problem(const Case& c, DType dtype, Device device, std::int64_t odd) {
    const std::int64_t keys = c.keys > 0 ? c.keys : c.length;
    const auto make = [&](std::int64_t positions, std::int64_t width, const char* name,
                          bool features) {
      return split_heads({c.batch, positions, c.heads, width}, dtype, name, device, features, odd);
    };
    query = make(c.length, c.width, "query", true);
    key = make(keys, c.width, "key", true);
    value = make(keys, c.out_width, "value", false);
    grad_out = make(c.length, c.out_width, "grad_out", false);
    grad_query = make(c.length, c.width, "grad_query", false);
    grad_key = make(keys, c.width, "grad_key", false);
    grad_value = make(keys, c.out_width, "grad_value", false);
    out = make(c.length, c.out_width, "out", false);
    inverse_sum = Tensor::empty({c.batch, c.heads, c.length}, dtype, device);
    if (!c.lengths.empty()) {
      lengths = copy_to(test::from_vector({c.batch}, c.lengths, DType::i32), device);
    }
  }

  Tensor query, key, value, lengths, out, inverse_sum, grad_out, grad_query, grad_key, grad_value;
};

// The gradient of a query is a difference that eps alone keeps from zero where it has but one key,
// or where the width is 1: what the division rounds shows there.
double tolerance(const Case& c, DType dtype) {
  const double cancelled = c.length == 1 || c.width == 1 ? 100 : 1;
  return cancelled * (dtype == DType::f32 ? 1e-5 : 1e-12);
}

template <class Forward, class Backward>
Tensors run_both(Slot<Forward> Table::*forward, Slot<Backward> Table::*backward, const Case& c,
                 DType dtype, Device device, std::int64_t odd) {
  const Problem p(c, dtype, device, odd);
  Forward f{.query = p.query, .key = p.key, .value = p.value, .lengths = p.lengths};
  Backward b{.query = p.query, .key = p.key, .value = p.value, .lengths = p.lengths};
  Tensors results = {p.out, p.inverse_sum, p.grad_query, p.grad_key, p.grad_value};
  f.eps = 0.1;
  b.out = f.out = p.out;
  b.inverse_sum = f.inverse_sum = p.inverse_sum;
  if constexpr (requires { f.key_sum; }) {
    b.sum = f.sum = Tensor::empty({c.batch, c.heads, c.width, c.out_width}, dtype, device);
    b.key_sum = f.key_sum = Tensor::empty({c.batch, c.heads, c.width}, dtype, device);
    results.insert(results.end(), {f.sum, f.key_sum});
  }
  b.grad_out = p.grad_out;
  b.grad_query = p.grad_query;
  b.grad_key = p.grad_key;
  b.grad_value = p.grad_value;
  b.beta_key = 1;  // and two that overwrite, or add, by the kind of strides
  b.beta_query = b.beta_value = odd == 0 ? 0 : 0.5;
  run(forward, device, f);
  run(backward, device, b);
  return results;
}

template <class Forward, class Backward>
void compare_cases(Slot<Forward> Table::*forward, Slot<Backward> Table::*backward,
                   const std::vector<Case>& cases) {
  std::int64_t odd = 0;  // of the f64 case; f32 has both
  for (const Case& c : cases) {
    CAPTURE(c.str());
    const auto compare_one = [&](DType dtype, std::int64_t columns) {
      CAPTURE(columns);
      compare(dtype, tolerance(c, dtype), [&](Device device) {
        return run_both(forward, backward, c, dtype, device, columns);
      });
    };
    compare_one(DType::f32, 0);
    compare_one(DType::f32, 1);
    compare_one(DType::f64, odd);
    odd = 1 - odd;
  }
}

TEST_CASE("cuda: causal linear attention and its gradients") {
  compare_cases(&Table::causal_linear_attention_forward, &Table::causal_linear_attention_backward,
                kCases);
}

TEST_CASE("cuda: linear attention and its gradients, of as many keys and of others") {
  std::vector<Case> cases = kCases;
  cases.push_back({2, 63, 2, 32, 32, {}, 100});
  cases.push_back({3, 100, 1, 64, 33, {0, 257, 70}, 257});
  cases.push_back({2, 0, 2, 32, 32, {}, 63});
  compare_cases(&Table::linear_attention_forward, &Table::linear_attention_backward, cases);
}

}  // namespace
}  // namespace tarn::kernels
