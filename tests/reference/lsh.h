// LSH attention as its equations say it, in f64 and plain loops: what the kernels are held to.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernels/lsh_attention.h"
#include "tests/reference/attention.h"

namespace tarn::reference {

// query [N, L, H, E], value [N, L, H, M], order [N, H, R, L] of any dtype and strides.
struct LshAttention {
  Tensor query, value;
  Tensor lengths;  // i32 [N], undefined for none
  Tensor order;
  kernels::LshAttentionOptions options;
};

// The hashes [N, H, R, L] by planes [R, E, B], the number of buckets for positions past the length.
inline Tensor lsh_buckets(const Tensor& query, const Tensor& planes, const Tensor& lengths) {
  const std::int64_t rounds = planes.size(0), width = planes.size(1), bits = planes.size(2);
  Array4 q(query), buckets(query.size(0), query.size(2), rounds, query.size(1));
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(buckets.values.size()); ++i) {
    const std::int64_t l = i % query.size(1), r = i / query.size(1) % rounds;
    const std::int64_t head = i / query.size(1) / rounds;
    const std::int64_t h = head % query.size(2), n = head / query.size(2);
    if (lengths.defined() && static_cast<double>(l) >= test::get(lengths, n)) {
      buckets(n, h, r, l) = static_cast<double>(2 * bits);
      continue;
    }
    std::vector<double> projections(static_cast<std::size_t>(2 * bits));
    for (std::int64_t b = 0; b < bits; ++b) {
      double dot = 0;
      for (std::int64_t e = 0; e < width; ++e) dot += q(n, l, h, e) * test::get(planes, {r, e, b});
      projections[static_cast<std::size_t>(b)] = dot;
      projections[static_cast<std::size_t>(bits + b)] = -dot;
    }
    const auto largest = std::max_element(projections.begin(), projections.end());
    buckets(n, h, r, l) = static_cast<double>(largest - projections.begin());
  }
  return test::cast(buckets.tensor(), DType::i32);
}

// The positions of each round by (hash, position).
inline Tensor lsh_order(const Tensor& buckets) {
  Tensor order = Tensor::empty(buckets.shape(), DType::i32, Device::cpu());
  const std::int64_t length = buckets.size(3);
  for (std::int64_t first = 0; first < buckets.elements(); first += length) {
    std::int32_t* row = order.mutable_data<std::int32_t>() + first;
    std::iota(row, row + length, 0);
    std::stable_sort(row, row + length, [&](std::int32_t a, std::int32_t b) {
      return test::get(buckets, first + a) < test::get(buckets, first + b);
    });
  }
  return order;
}

// What slot i of a round looks at: slots [first, last).
struct LshWindow {
  LshWindow(const LshAttention& a, std::int64_t i)
      : first(std::max<std::int64_t>(0, (i / a.options.chunk - 1) * a.options.chunk)),
        last(std::min(a.query.size(1), (i / a.options.chunk + 1) * a.options.chunk)) {}
  std::int64_t first, last;
};

inline Tensor lsh_attention(const LshAttention& a) {
  const kernels::LshAttentionOptions& options = a.options;
  const std::int64_t batch = a.query.size(0), length = a.query.size(1), heads = a.query.size(2);
  const std::int64_t width = a.query.size(3), out_width = a.value.size(3);
  const std::int64_t rounds = a.order.size(2);
  Array4 query(a.query), value(a.value), order(a.order), out(batch, length, heads, out_width);

  // Whether l may see s, itself aside.
  const auto visible = [&](std::int64_t n, std::int64_t l, std::int64_t s) {
    const bool there = !a.lengths.defined() || static_cast<double>(s) < test::get(a.lengths, n);
    return there && (!options.causal || s <= l);
  };
  const auto score = [&](std::int64_t n, std::int64_t h, std::int64_t l, std::int64_t s) {
    double dot = 0, squares = 0;
    for (std::int64_t e = 0; e < width; ++e) {
      dot += query(n, l, h, e) * query(n, s, h, e);
      squares += query(n, s, h, e) * query(n, s, h, e);
    }
    return squares == 0 ? 0 : options.scale * dot / std::sqrt(squares);
  };

  const auto row = [&](std::int64_t n, std::int64_t h, std::int64_t r, std::int64_t i) {
    const auto at = [&](std::int64_t slot) {
      return static_cast<std::int64_t>(order(n, h, r, slot));
    };
    const LshWindow window(a, i);
    const std::int64_t l = at(i);
    std::vector<std::int64_t> seen;  // slots
    for (std::int64_t j = window.first; j < window.last; ++j) {
      if (visible(n, l, at(j)) && !(options.masked && j == i)) seen.push_back(j);
    }
    if (seen.empty() && visible(n, l, l)) seen.push_back(i);
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (const std::int64_t j : seen) largest = std::max(largest, score(n, h, l, at(j)));
    for (const std::int64_t j : seen) sum += std::exp(score(n, h, l, at(j)) - largest);
    for (const std::int64_t j : seen) {
      double weight = std::exp(score(n, h, l, at(j)) - largest) / sum;
      const std::int64_t element =
          (((n * heads + h) * rounds + r) * length + i) * 2 * options.chunk + j - window.first;
      const bool kept = random_bits(options.address, static_cast<std::uint64_t>(element)) >=
                        random_threshold(options.dropout);
      weight *= kept ? 1 / (1 - options.dropout) : 0;
      for (std::int64_t m = 0; m < out_width; ++m) {
        out(n, l, h, m) += weight * value(n, at(j), h, m) / static_cast<double>(rounds);
      }
    }
  };
  for (std::int64_t n = 0; n < batch; ++n) {
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t r = 0; r < rounds; ++r) {
        for (std::int64_t i = 0; i < length; ++i) row(n, h, r, i);
      }
    }
  }
  return out.tensor();
}

}  // namespace tarn::reference
