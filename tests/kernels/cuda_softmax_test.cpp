// Softmax attention of CUDA devices against the CPU's.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/rng.h"
#include "core/transfer.h"
#include "kernels/copy.h"
#include "kernels/softmax_attention.h"
#include "kernels/table.h"
#include "tests/support/compare_devices.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::random_tensor;
using Tensors = std::vector<Tensor>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Case {
  std::int64_t batch, queries, keys, heads, width, out_width;
  bool causal = false;
  double dropout = 0;
  double beta = 0;
  std::vector<double> lengths = {};

  std::string str() const {
    return message("[", batch, ", ", queries, "/", keys, ", ", heads, ", ", width, "/", out_width,
                   "]", causal ? " causal" : "", " dropout ", dropout, " beta ", beta,
                   lengths.empty() ? "" : " lengths");
  }
};

// Keys that nobody sees may hold anything.
Tensor with_nan_past(Tensor x, const std::vector<double>& lengths) {
  for (std::size_t n = 0; n < lengths.size(); ++n) {
    const auto length = static_cast<std::int64_t>(lengths[n]);
    const Tensor past = x.slice(0, static_cast<std::int64_t>(n), 1);
    test::fill(past.slice(1, length, x.size(1) - length), kNan);
  }
  return x;
}

// Forward and backward. `heads_first` stores [N, H, L, width].
Tensors run_softmax(const Case& c, DType dtype, Device device, bool heads_first) {
  const auto place = [&](const Tensor& x) {
    if (!heads_first) return copy_to(x, device);
    const Tensor there =
        Tensor::empty({x.size(0), x.size(2), x.size(1), x.size(3)}, dtype, Device::cpu());
    run(&Table::copy, Device::cpu(), {.from = x.transpose(1, 2), .to = there});
    return copy_to(there, device).transpose(1, 2);
  };
  const auto make = [&](const char* name, std::int64_t length, std::int64_t width) {
    return random_tensor({c.batch, length, c.heads, width}, dtype, name);
  };
  const Tensor query = place(make("query", c.queries, c.width));
  const Tensor key = place(with_nan_past(make("key", c.keys, c.width), c.lengths));
  const Tensor value = place(with_nan_past(make("value", c.keys, c.out_width), c.lengths));
  const Tensor lengths = c.lengths.empty()
                             ? Tensor()
                             : copy_to(test::from_vector({c.batch}, c.lengths, DType::i32), device);
  const double scale = 1 / std::sqrt(static_cast<double>(c.width));
  const RngAddress address{7, site_of("softmax"), 3};
  const Tensor out = place(make("nothing", c.queries, c.out_width));
  const Tensor log_sum_exp = Tensor::empty({c.batch, c.heads, c.queries}, dtype, device);
  run(&Table::softmax_attention_forward, device,
      {.query = query,
       .key = key,
       .value = value,
       .lengths = lengths,
       .scale = scale,
       .causal = c.causal,
       .dropout = c.dropout,
       .address = address,
       .out = out,
       .log_sum_exp = log_sum_exp});
  const auto old = [&](const char* name, std::int64_t length, std::int64_t width) {
    const Tensor gradient = make(name, length, width);
    if (c.beta == 0) test::fill(gradient, kNan);
    return place(gradient);
  };
  const Tensor grad_query = old("grad_query", c.queries, c.width);
  const Tensor grad_key = old("grad_key", c.keys, c.width);
  const Tensor grad_value = old("grad_value", c.keys, c.out_width);
  run(&Table::softmax_attention_backward, device,
      {.query = query,
       .key = key,
       .value = value,
       .lengths = lengths,
       .scale = scale,
       .causal = c.causal,
       .dropout = c.dropout,
       .address = address,
       .out = out,
       .log_sum_exp = log_sum_exp,
       .grad_out = place(make("grad_out", c.queries, c.out_width)),
       .grad_query = grad_query,
       .grad_key = grad_key,
       .grad_value = grad_value,
       .beta_query = c.beta,
       .beta_key = c.beta,
       .beta_value = c.beta});
  return {out, log_sum_exp, grad_query, grad_key, grad_value};
}

void check_all(const std::vector<Case>& cases) { test::compare_attention(cases, run_softmax); }

TEST_CASE("cuda: softmax attention, of lengths around a tile") {
  check_all({
      {0, 5, 5, 2, 3, 3},
      {2, 0, 5, 2, 3, 3, false, 0, 0.5},
      {1, 1, 1, 1, 1, 1, false, 0.3, 0.5},
      {2, 1, 63, 2, 3, 2},
      {2, 63, 63, 2, 3, 1, true, 0.3},
      {1, 64, 64, 3, 4, 4, true},
      {1, 100, 65, 2, 5, 7, true, 0.1},
      {1, 65, 100, 2, 5, 7, true, 0.1, -2},
      {1, 257, 257, 1, 8, 5, true, 0, 0.5},
      {1, 257, 129, 1, 8, 5, false, 0.2},
  });
}

TEST_CASE("cuda: softmax attention, of heads of every width") {
  check_all({
      {1, 65, 65, 2, 1, 1, true},
      {2, 65, 65, 1, 32, 32, true, 0.1},
      {1, 65, 66, 2, 63, 63},
      {1, 66, 65, 2, 64, 64, false, 0.1, 0.5},
      {1, 66, 66, 1, 128, 128, true, 0.1},
      {1, 33, 66, 1, 128, 32},
      {1, 66, 33, 1, 31, 100},
      {1, 35, 35, 1, 150, 257, true, 0.1, 0.5},
  });
}

TEST_CASE("cuda: softmax attention, of lengths that end anywhere") {
  check_all({
      {4, 70, 70, 1, 3, 5, false, 0, 0, {0, 1, 64, 70}},
      {4, 70, 129, 2, 3, 5, true, 0.2, 0.5, {0, 65, 128, 129}},
      {3, 100, 100, 1, 33, 5, true, 0.1, 0, {100, 0, 77}},
  });
}

TEST_CASE("cuda: softmax attention of a NaN is NaN") {
  for (const Device device : test::devices()) {
    CAPTURE(device.str());
    const Tensor query = random_tensor({1, 3, 1, 2}, DType::f32, "query");
    test::set(query, {0, 1, 0, 0}, kNan);
    const Tensor key = copy_to(random_tensor({1, 5, 1, 2}, DType::f32, "key"), device);
    const Tensor out = Tensor::empty({1, 3, 1, 2}, DType::f32, device);
    run(&Table::softmax_attention_forward, device,
        {.query = copy_to(query, device),
         .key = key,
         .value = key,
         .out = out,
         .log_sum_exp = Tensor::empty({1, 1, 3}, DType::f32, device)});
    for (std::int64_t l = 0; l < 3; ++l) {
      CHECK(std::isnan(test::get(out, {0, l, 0, 0})) == (l == 1));
    }
  }
}

}  // namespace
}  // namespace tarn::kernels
