// LSH attention of CUDA devices against the CPU's: the order to the last position, outputs and
// gradients but for rounding.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/rng.h"
#include "core/transfer.h"
#include "kernels/copy.h"
#include "kernels/lsh_attention.h"
#include "kernels/table.h"
#include "tests/support/compare_devices.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::random_tensor;
using Tensors = std::vector<Tensor>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// [N, L, H, width] on the device, stored with the heads first if asked.
Tensor place(const Tensor& x, Device device, bool heads_first) {
  if (!heads_first) return copy_to(x, device);
  const Tensor there =
      Tensor::empty({x.size(0), x.size(2), x.size(1), x.size(3)}, x.dtype(), Device::cpu());
  run(&Table::copy, Device::cpu(), {.from = x.transpose(1, 2), .to = there});
  return copy_to(there, device).transpose(1, 2);
}

Tensor lengths_on(Device device, const std::vector<double>& lengths) {
  if (lengths.empty()) return {};
  const auto n = static_cast<std::int64_t>(lengths.size());
  return copy_to(test::from_vector({n}, lengths, DType::i32), device);
}

Tensors order_of(const Tensor& query, const Tensor& planes, const Tensor& lengths) {
  const Shape shape{query.size(0), query.size(2), planes.size(0), query.size(1)};
  const Tensor buckets = Tensor::empty(shape, DType::i32, query.device());
  const Tensor order = Tensor::empty(shape, DType::i32, query.device());
  run(&Table::lsh_order, query.device(),
      {.query = query, .planes = planes, .lengths = lengths, .buckets = buckets, .order = order});
  return {buckets, order};
}

TEST_CASE("cuda: lsh_order is the CPU's order") {
  for (const DType dtype : test::kFloats) {
    for (const std::int64_t length : {0, 1, 63, 100, 257}) {
      for (const std::int64_t width : {1, 3, 32, 63}) {
        for (const std::int64_t bits : {1, 8, 13}) {
          CAPTURE(length);
          CAPTURE(width);
          CAPTURE(bits);
          test::compare(dtype, 0, [&](Device device) {
            const Tensor query = random_tensor({3, length, 2, width}, dtype, "query");
            const Tensor planes = random_tensor({2, width, bits}, dtype, "planes");
            return order_of(place(query, device, bits == 8), copy_to(planes, device),
                            lengths_on(device, {length * 0.7, 0, 300}));
          });
        }
      }
    }
  }
}

TEST_CASE("cuda: lsh_order of equal products, of zeros and of NaN") {
  test::compare(DType::f32, 0, [&](Device device) {
    const Tensor query = random_tensor({1, 100, 1, 2}, DType::f32, "query");
    for (const std::int64_t l : {0, 7, 99}) test::fill(query.slice(1, l, 1), 0);
    for (const std::int64_t l : {3, 98}) test::fill(query.slice(1, l, 1), kNan);
    // The second plane is the first, and the third its negative.
    const std::vector<double> planes = {0.5, 0.5, -0.5, 0.1, -1, -1, 1, 0.2};
    return order_of(copy_to(query, device),
                    copy_to(test::from_vector({1, 2, 4}, planes, DType::f32), device), {});
  });
}

struct Case {
  std::int64_t batch, length, heads, width, out_width, rounds, chunk;
  bool causal = false, masked = true;
  double dropout = 0, beta = 0;
  std::vector<double> lengths = {};

  std::string str() const {
    return message("[", batch, ", ", length, ", ", heads, ", ", width, "/", out_width, "] ", rounds,
                   " rounds, chunks of ", chunk, causal ? " causal" : "", masked ? " masked" : "",
                   " dropout ", dropout, " beta ", beta, lengths.empty() ? "" : " lengths");
  }
};

Tensors run_lsh(const Case& c, DType dtype, Device device, bool heads_first) {
  const auto make = [&](const char* name, std::int64_t width) {
    return random_tensor({c.batch, c.length, c.heads, width}, dtype, name);
  };
  const Tensor query = make("query", c.width), values = make("value", c.out_width);
  for (std::size_t n = 0; n < c.lengths.size(); ++n) {  // values that nobody sees may be anything
    const auto length = static_cast<std::int64_t>(c.lengths[n]);
    const Tensor of_sequence = values.slice(0, static_cast<std::int64_t>(n), 1);
    test::fill(of_sequence.slice(1, length, c.length - length), kNan);
  }
  if (c.length > 5) test::fill(query.slice(1, 5, 1), 0);  // whose key is 0
  const Tensor planes = random_tensor({c.rounds, c.width, 3}, dtype, "planes");
  const Tensor lengths = lengths_on(Device::cpu(), c.lengths);
  const Tensor order = copy_to(order_of(query, planes, lengths)[1], device);
  const LshAttentionOptions options{.chunk = c.chunk,
                                    .scale = 0.7,
                                    .causal = c.causal,
                                    .masked = c.masked,
                                    .dropout = c.dropout,
                                    .address = {7, site_of("lsh"), 3}};
  const Tensor there = place(query, device, heads_first);
  const Tensor value = place(values, device, heads_first);
  const Tensor out = place(make("nothing", c.out_width), device, heads_first);
  run(&Table::lsh_attention_forward, device,
      {.query = there,
       .value = value,
       .lengths = lengths_on(device, c.lengths),
       .order = order,
       .options = options,
       .out = out});
  const auto old = [&](const char* name, std::int64_t width) {
    const Tensor gradient = make(name, width);
    if (c.beta == 0) test::fill(gradient, kNan);
    return place(gradient, device, heads_first);
  };
  const Tensor grad_query = old("grad_query", c.width), grad_value = old("grad_value", c.out_width);
  run(&Table::lsh_attention_backward, device,
      {.query = there,
       .value = value,
       .lengths = lengths_on(device, c.lengths),
       .order = order,
       .options = options,
       .grad_out = place(make("grad_out", c.out_width), device, heads_first),
       .grad_query = grad_query,
       .grad_value = grad_value,
       .beta_query = c.beta,
       .beta_value = c.beta});
  return {out, grad_query, grad_value};
}

void check_all(const std::vector<Case>& cases) { test::compare_attention(cases, run_lsh); }

TEST_CASE("cuda: LSH attention, of lengths and chunks around a tile") {
  check_all({
      {1, 0, 1, 2, 2, 2, 4},
      {1, 1, 1, 1, 1, 1, 1, false, true, 0, 0.5},
      {2, 20, 1, 3, 4, 2, 1, true},
      {1, 63, 1, 3, 4, 3, 7, false, false, 0.3, 0.5},
      {1, 100, 1, 4, 3, 2, 33, true, true, 0.1},
      {1, 100, 1, 4, 3, 1, 200, false, true, 0.1},
      {1, 257, 1, 5, 6, 1, 32, false, true, 0.1, 0.5},
      {1, 257, 1, 5, 6, 2, 100, true, true, 0, 0.5},
  });
}

TEST_CASE("cuda: LSH attention, of heads of every width") {
  check_all({
      {1, 65, 2, 1, 1, 1, 32, true},
      {1, 65, 1, 32, 32, 2, 32, true, true, 0.1},
      {1, 65, 1, 63, 63, 1, 32},
      {1, 66, 1, 64, 64, 2, 16, false, true, 0.1, 0.5},
      {1, 66, 1, 128, 33, 1, 32, true, true, 0.1},
      {1, 40, 1, 31, 130, 1, 32, false, true, 0, 0.5},
  });
}

TEST_CASE("cuda: LSH attention, of lengths that end anywhere") {
  check_all({
      {4, 70, 1, 3, 5, 2, 8, false, true, 0, 0, {0, 1, 64, 70}},
      {3, 100, 2, 3, 5, 2, 32, true, true, 0.1, 0.5, {100, 0, 77}},
  });
}

}  // namespace
}  // namespace tarn::kernels
