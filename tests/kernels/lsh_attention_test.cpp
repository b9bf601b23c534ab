#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "core/io/safetensors.h"
#include "kernels/table.h"
#include "tests/reference/lsh.h"
#include "tests/support/paths.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::copy_of;
using test::from_vector;
using test::full;
using test::get;
using test::max_abs_difference;
using test::random_tensor;
using test::set;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Order {
  Tensor buckets, order;
};

Order order_of(const Tensor& query, const Tensor& planes, const Tensor& lengths = {}) {
  const Shape shape{query.size(0), query.size(2), planes.size(0), query.size(1)};
  Order result{full(shape, DType::i32, -1), full(shape, DType::i32, -1)};
  run(&Table::lsh_order, Device::cpu(),
      {.query = query,
       .planes = planes,
       .lengths = lengths,
       .buckets = result.buckets,
       .order = result.order});
  return result;
}

Tensor forward(const reference::LshAttention& a) {
  Tensor out = full({a.query.size(0), a.query.size(1), a.query.size(2), a.value.size(3)},
                    a.query.dtype(), kNan);
  run(&Table::lsh_attention_forward, Device::cpu(),
      {.query = a.query,
       .value = a.value,
       .lengths = a.lengths,
       .order = a.order,
       .options = a.options,
       .out = out});
  return out;
}

struct Gradients {
  Tensor query, value;
};

// Into memory full of NaN, which beta 0 must not read.
Gradients backward(const reference::LshAttention& a, const Tensor& grad_out) {
  Gradients grads{full(a.query.shape(), a.query.dtype(), kNan),
                  full(a.value.shape(), a.value.dtype(), kNan)};
  run(&Table::lsh_attention_backward, Device::cpu(),
      {.query = a.query,
       .value = a.value,
       .lengths = a.lengths,
       .order = a.order,
       .options = a.options,
       .grad_out = grad_out,
       .grad_query = grads.query,
       .grad_value = grads.value});
  return grads;
}

TEST_CASE("lsh_order: hashes and order are the reference's") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const std::int64_t length : {1, 8, 63, 257}) {
      for (const std::int64_t bits : {1, 5, 32}) {
        CAPTURE(length);
        CAPTURE(bits);
        const Tensor query = random_tensor({2, length, 2, 5}, dtype, "query");
        const Tensor planes = random_tensor({3, 5, bits}, dtype, "planes");
        const Tensor lengths =
            from_vector({2}, {static_cast<double>(length), std::floor(0.7 * length)}, DType::i32);
        for (const Tensor& given : {Tensor(), lengths}) {
          const Order result = order_of(query, planes, given);
          const Tensor expected = reference::lsh_buckets(query, planes, given);
          CHECK(max_abs_difference(result.buckets, expected) == 0);
          CHECK(max_abs_difference(result.order, reference::lsh_order(expected)) == 0);
        }
      }
    }
  }
}

TEST_CASE("lsh_order: equal hashes keep their order, a query of 0 or NaN hashes to 0") {
  const Tensor query = random_tensor({1, 40, 1, 3}, DType::f32, "query");
  for (std::int64_t e = 0; e < 3; ++e) {
    set(query, {0, 20, 0, e}, 0);
    set(query, {0, 30, 0, e}, kNan);
  }
  const Order result = order_of(query, random_tensor({1, 3, 2}, DType::f32, "planes"));
  CHECK(get(result.buckets, 20) == 0);
  CHECK(get(result.buckets, 30) == 0);
  CHECK(max_abs_difference(result.order, reference::lsh_order(result.buckets)) == 0);
}

TEST_CASE("lsh_order: a sequence alone has the hashes that it has beside a longer one") {
  const Tensor query = random_tensor({2, 257, 2, 24}, DType::f32, "query");
  const Tensor planes = random_tensor({4, 24, 32}, DType::f32, "planes");
  const Order together = order_of(query, planes, from_vector({2}, {257, 101}, DType::i32));
  const Order alone = order_of(query.slice(0, 1, 1).slice(1, 0, 101), planes);
  CHECK(max_abs_difference(together.order.slice(0, 1, 1).slice(3, 0, 101), alone.order) == 0);
}

TEST_CASE("lsh attention: padding changes no output and no gradient before it") {
  const std::int64_t length = 77, longest = 130;
  const Tensor query = random_tensor({2, longest, 2, 8}, DType::f32, "query");
  const Tensor value = random_tensor({2, longest, 2, 5}, DType::f32, "value");
  const Tensor planes = random_tensor({3, 8, 6}, DType::f32, "planes");
  const Tensor grad_out = random_tensor({2, longest, 2, 5}, DType::f32, "grad_out");
  test::fill(grad_out.slice(0, 1, 1).slice(1, length, longest - length), 0);
  const auto real = [&](const Tensor& t) { return t.slice(0, 1, 1).slice(1, 0, length); };
  for (const bool causal : {false, true}) {
    CAPTURE(causal);
    const LshAttentionOptions options{.chunk = 16, .scale = 0.5, .causal = causal};
    const Tensor lengths =
        from_vector({2}, {static_cast<double>(longest), static_cast<double>(length)}, DType::i32);
    const reference::LshAttention together{query, value, lengths,
                                           order_of(query, planes, lengths).order, options};
    const reference::LshAttention alone{
        real(query), real(value), {}, order_of(real(query), planes).order, options};
    const Gradients grads = backward(together, grad_out);
    const Gradients expected = backward(alone, copy_of(real(grad_out)));
    CHECK(max_abs_difference(real(forward(together)), forward(alone)) < 1e-6);
    CHECK(max_abs_difference(real(grads.query), expected.query) < 1e-6);
    CHECK(max_abs_difference(real(grads.value), expected.value) < 1e-6);
    CHECK(test::max_abs(grads.query.slice(0, 1, 1).slice(1, length, longest - length)) == 0);
    CHECK(test::max_abs(grads.value.slice(0, 1, 1).slice(1, length, longest - length)) == 0);
    // What the padding's values hold, NaN included, is not even read.
    test::fill(value.slice(0, 1, 1).slice(1, length, longest - length), kNan);
    CHECK(max_abs_difference(real(forward(together)), forward(alone)) < 1e-6);
    CHECK(max_abs_difference(backward(together, grad_out).query, grads.query) == 0);
    test::fill(value.slice(0, 1, 1).slice(1, length, longest - length), 1);
  }
}

TEST_CASE("lsh attention: a query of 0 is a key of 0, and has a gradient as a query only") {
  const Tensor query = random_tensor({1, 6, 1, 3}, DType::f64, "query");
  for (std::int64_t e = 0; e < 3; ++e) set(query, {0, 2, 0, e}, 0);
  const Tensor value = random_tensor({1, 6, 1, 2}, DType::f64, "value");
  const Tensor order = from_vector({1, 1, 1, 6}, {3, 1, 2, 0, 5, 4}, DType::i32);
  const reference::LshAttention a{query, value, {}, order, {.chunk = 3}};
  CHECK(max_abs_difference(forward(a), reference::lsh_attention(a)) < 1e-12);
  const Gradients grads = backward(a, random_tensor({1, 6, 1, 2}, DType::f64, "grad_out"));
  CHECK(std::isfinite(test::max_abs(grads.query)));
  CHECK(test::max_abs(grads.query.select(1, 2)) > 0);
}

TEST_CASE("lsh attention: shows a NaN, and survives scores that exp cannot hold") {
  const Tensor query = random_tensor({1, 9, 1, 3}, DType::f32, "query");
  const Tensor value = random_tensor({1, 9, 1, 2}, DType::f32, "value");
  const Tensor order = from_vector({1, 1, 1, 9}, {0, 1, 2, 3, 4, 5, 6, 7, 8}, DType::i32);
  const reference::LshAttention steep{query, value, {}, order, {.chunk = 4, .scale = 2000}};
  CHECK(max_abs_difference(forward(steep), reference::lsh_attention(steep)) < 2e-2);
  CHECK(std::isfinite(test::max_abs(backward(steep, copy_of(value)).query)));
  set(query, {0, 1, 0, 2}, kNan);
  const Tensor out = forward({query, value, {}, order, {.chunk = 4}});
  CHECK(std::isnan(get(out, {0, 1, 0, 0})));
  CHECK(std::isnan(get(out, {0, 3, 0, 0})));
  CHECK_FALSE(std::isnan(get(out, {0, 8, 0, 0})));  // two chunks on
}

// The authors' module with its planes and order (tests/golden/README.md). Their order puts padding
// first, ours last: with theirs given, all is equal.
void check_golden(const std::string& name, const LshAttentionOptions& options, DType dtype) {
  CAPTURE(name);
  const SafetensorsFile file(test::source_dir() / "tests" / "golden" / "reformer.safetensors");
  const auto heads_first = [&](const char* part) {  // [R, N, L, H] to [N, H, R, L]
    const Tensor t = file.read(name + part).transpose(0, 1).transpose(1, 3);  // [N, H, L, R]
    return test::cast(t.transpose(2, 3), DType::i32);
  };
  const auto read = [&](const std::string& part) { return test::cast(file.read(part), dtype); };
  const Tensor query = read("q");
  const Tensor planes = copy_of(read(name + ".planes").transpose(1, 2));
  const Tensor lengths = test::cast(file.read(name + ".lengths"), DType::i32);
  const Order ours = order_of(query, planes, lengths);
  const Tensor hashes = heads_first(".hashes"), order = heads_first(".order");
  for (std::int64_t n = 0; n < 2; ++n) {
    const auto length = static_cast<std::int64_t>(get(lengths, n));
    const auto real = [&](const Tensor& t) { return t.select(0, n).slice(2, 0, length); };
    CHECK(max_abs_difference(real(ours.buckets), real(hashes)) == 0);
    if (length == 64) {
      CHECK(max_abs_difference(ours.order.select(0, n), order.select(0, n)) == 0);
    }
  }

  const reference::LshAttention a{query, read("v"), lengths, order, options};
  const Gradients grads = backward(a, read("w"));
  const double tolerance = 2e-6;  // the file is f32
  CHECK(test::relative_difference(forward(a), read(name + ".out")) < tolerance);
  CHECK(test::relative_difference(grads.query, read(name + ".grad_q")) < tolerance);
  CHECK(test::relative_difference(grads.value, read(name + ".grad_v")) < tolerance);
}

TEST_CASE("golden: the authors' Reformer attention and its gradients") {
  const double scale = 1 / std::sqrt(8.0);
  for (const DType dtype : {DType::f32, DType::f64}) {
    check_golden("causal_masked", {.chunk = 16, .scale = scale, .causal = true, .masked = true},
                 dtype);
    check_golden("full_unmasked", {.chunk = 8, .scale = scale, .masked = false}, dtype);
    check_golden("full_lengths", {.chunk = 16, .scale = scale, .masked = false}, dtype);
  }
}

}  // namespace
}  // namespace tarn::kernels
