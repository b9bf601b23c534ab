// Hashes by random planes, and the sort by them. The CPU's order, where its processor has fused
// multiply-adds.
#include <cmath>

#include "kernels/cuda/attention_block.h"
#include "kernels/cuda/gpu.h"
#include "kernels/dtype_switch.h"
#include "kernels/lsh_attention.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

// Where the largest of [query . planes, -query . planes] stands, the first of equals; 0 if all are
// NaN. Each product is a sum over the width from first to last, rounded once a term: the CPU's
// vectors do the same, and one bit can make another hash.
template <class T>
__device__ std::int32_t hash_of(const T* query, const T* planes, std::int64_t width,
                                std::int64_t bits) {
  constexpr std::int64_t kAtOnce = 8;  // sums that one reading of the query serves
  T above = 0, below = 0;              // the largest product and the least
  std::int64_t at_above = 0, at_below = 0;
  for (std::int64_t first = 0; first < bits; first += kAtOnce) {
    T sums[kAtOnce] = {};
    for (std::int64_t e = 0; e < width; ++e) {
      TARN_UNROLL(8)
      for (std::int64_t b = 0; b < kAtOnce; ++b) {
        if (first + b < bits) sums[b] = std::fma(query[e], planes[e * bits + first + b], sums[b]);
      }
    }
    TARN_UNROLL(8)
    for (std::int64_t b = 0; b < kAtOnce; ++b) {
      if (sums[b] > above) {
        above = sums[b];
        at_above = first + b;
      }
      if (sums[b] < below) {
        below = sums[b];
        at_below = first + b;
      }
    }
  }
  return static_cast<std::int32_t>(-below > above ? bits + at_below : at_above);
}

// A thread takes a position.
template <class T>
__global__ void lsh_hash(Heads<const T> query, const T* planes, Lengths lengths,
                         std::int32_t* buckets, std::int64_t heads, std::int64_t rounds,
                         std::int64_t length, std::int64_t width, std::int64_t bits,
                         std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    const std::int64_t l = i % length, round = i / length % rounds;
    const std::int64_t head = i / length / rounds;
    const std::int64_t sequence = head / heads;
    buckets[i] = static_cast<std::int32_t>(2 * bits);
    if (l >= lengths.valid(sequence, length)) continue;
    buckets[i] =
        hash_of(query.row(sequence, head % heads, l), planes + round * width * bits, width, bits);
  }
}

// Pieces of a row of positions, each with a thread for each bucket.
constexpr std::int64_t kPieces = 8;

// A stable counting sort of each row. A thread places the positions that one piece has in one
// bucket: behind those of smaller buckets, and behind the bucket's own in the pieces before. It
// counts these by itself: the threads of a warp read the same number at once.
__global__ void lsh_sort(const std::int32_t* buckets, std::int32_t* order, std::int64_t length,
                         std::int64_t count, std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    const std::int64_t bucket = i % count, piece = i / count % kPieces;
    const std::int64_t row = i / count / kPieces * length;
    const std::int64_t first = length * piece / kPieces, end = length * (piece + 1) / kPieces;
    std::int64_t place = 0;
    for (std::int64_t l = 0; l < length; ++l) {
      const std::int64_t other = buckets[row + l];
      if (other < bucket || (other == bucket && l < first)) ++place;
    }
    for (std::int64_t l = first; l < end; ++l) {
      if (buckets[row + l] == bucket) order[row + place++] = static_cast<std::int32_t>(l);
    }
  }
}

void lsh_order(const LshOrderArgs& args, Scratch /*none*/) {
  const std::int64_t n = args.order.elements(), length = args.query.size(1);
  if (n == 0) return;
  const std::int64_t rounds = args.planes.size(0), bits = args.planes.size(2);
  const Device device = args.order.device();
  auto* buckets = args.buckets.mutable_data<std::int32_t>();
  with_float_type(args.query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((lsh_hash<T>), blocks_for(n), kThreads, 0, device, Heads<const T>(args.query),
                args.planes.data<T>(), Lengths(args.lengths), buckets, args.query.size(2), rounds,
                length, args.query.size(3), bits, n);
  });
  const std::int64_t count = 2 * bits + 1;
  const std::int64_t threads = n / length * kPieces * count;
  TARN_LAUNCH(lsh_sort, blocks_for(threads), kThreads, 0, device, buckets,
              args.order.mutable_data<std::int32_t>(), length, count, threads);
}

}  // namespace tarn::kernels::cuda
