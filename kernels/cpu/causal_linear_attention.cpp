#include "kernels/causal_linear_attention.h"

#include "kernels/cpu/scratch.h"
#include "kernels/dtype_switch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/causal_linear_attention.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
//
#include "kernels/cpu/recurrence-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {

// A thread that sweeps several heads goes over this many positions of one head before it turns to
// the next. The rows of neighbouring heads lie side by side in memory, so what the processor
// fetches for one head is still in a cache when the next head needs it.
constexpr std::int64_t kStretch = 64 * kTile;

struct Positions {
  std::int64_t first, last;
};

// Elements of the sums that a sweep carries from one stretch to the next: two states and a row at
// most.
template <class T>
std::int64_t state_size(std::int64_t query_width, std::int64_t value_width) {
  const std::int64_t e = padded<T>(query_width), m = padded<T>(value_width);
  return 2 * Carver<T>::size(e * m) + Carver<T>::size(e);
}

template <class T>
void forward(const CausalLinearAttentionForwardArgs& args, const HeadPiece& piece,
             const Positions& positions, T* sums_so_far, T* scratch) {
  const auto [n, h, index, pieces] = piece;
  const Columns mine = columns_of_piece<T>(args.value.size(3), index, pieces);
  const Head<const T> query(args.query, n, h);
  const Head<const T> key(args.key, n, h);
  const Head<const T> value = columns_of(Head<const T>(args.value, n, h), mine);
  const Head<T> out = columns_of(Head<T>(args.out, n, h), mine);
  const std::int64_t length = args.query.size(1);
  const std::int64_t valid = valid_length(args.lengths, n, length);
  T* inverse_sum = args.inverse_sum.mutable_data<T>() + (n * args.query.size(2) + h) * length;
  const std::int64_t e = padded<T>(query.width);
  const std::int64_t m = mine.count;

  Carver<T> kept(sums_so_far), carve(scratch);
  T* state = kept.take(e * m);
  T* key_sum = kept.take(e);
  T* q = carve.take(kTile * e);
  T* k = carve.take(kTile * e);
  T* v = carve.take(kTile * m);
  T* o = carve.take(kTile * m);
  T* partial = carve.take(kTile * kMaxLanes);
  T* sums = carve.take(kTile);
  for (std::int64_t first = positions.first; first < positions.last; first += kTile) {
    const std::int64_t count = std::min(kTile, length - first);
    pack(query, first, count, length, e, q);
    pack(key, first, count, valid, e, k);
    pack(value, first, count, valid, m, v);
    AheadQueue ahead;
    for (const Head<const T>& head : {query, key, value}) ahead.add(head, first + kTile, length);
    ahead.add(out, first + kTile, length);
    stream_tile<true, T>({q, e}, {k, e}, {v, m}, {o, m}, state, e, m, count, ahead);
    running_dots<T>({q, e}, {k, e}, key_sum, e, count, partial, sums);
    for (std::int64_t t = 0; t < count; ++t) {
      const T inverse = T{1} / (sums[t] + static_cast<T>(args.eps));
      if (index == 0) inverse_sum[first + t] = inverse;
      accumulate(o + t * m, inverse, 0, out.row(first + t), value.width);
    }
  }
}

// What the backward sweeps share: the heads and the gradients behind the division,
// scaled[t] = grad_out[t] * inverse_sum[t] and grad_sum[t] = -(grad_out[t] . out[t]) *
// inverse_sum[t].
template <class T>
struct Backward {
  Backward(const CausalLinearAttentionBackwardArgs& a, std::int64_t n, std::int64_t h)
      : args(a),
        query(a.query, n, h),
        key(a.key, n, h),
        value(a.value, n, h),
        out(a.out, n, h),
        grad_out(a.grad_out, n, h),
        grad_query(a.grad_query, n, h),
        grad_key(a.grad_key, n, h),
        grad_value(a.grad_value, n, h),
        length(a.query.size(1)),
        valid(valid_length(a.lengths, n, length)),
        inverse_sum(a.inverse_sum.data<T>() + (n * a.query.size(2) + h) * length),
        e(padded<T>(query.width)),
        m(padded<T>(value.width)) {}

  void pack_gradients(std::int64_t first, std::int64_t count, T* scaled, T* grad_sum) const {
    pack_gradient(grad_out, out, first, count, inverse_sum + first, m, scaled, grad_sum);
  }

  const CausalLinearAttentionBackwardArgs& args;
  Head<const T> query, key, value, out, grad_out;
  Head<T> grad_query, grad_key, grad_value;
  std::int64_t length, valid;
  const T* inverse_sum;
  std::int64_t e, m;
};

// grad_query: the prefix sweep, the forward's own recurrence with other operands.
template <class T>
void backward_query(const Backward<T>& b, const Columns& mine, const Positions& positions,
                    T* sums_so_far, T* scratch) {
  const Head<const T> key = columns_of(b.key, mine);
  const Head<T> grad_query = columns_of(b.grad_query, mine);
  const std::int64_t e = mine.count;
  Carver<T> kept(sums_so_far), carve(scratch);
  T* state = kept.take(b.m * e);
  T* key_sum = kept.take(e);
  T* k = carve.take(kTile * e);
  T* v = carve.take(kTile * b.m);
  T* g = carve.take(kTile * b.m);
  T* gq = carve.take(kTile * e);
  T* grad_sum = carve.take(kTile);
  const T one = 1;
  for (std::int64_t first = positions.first; first < positions.last; first += kTile) {
    const std::int64_t count = std::min(kTile, b.length - first);
    pack(key, first, count, b.valid, e, k);
    pack(b.value, first, count, b.valid, b.m, v);
    b.pack_gradients(first, count, g, grad_sum);
    running_sums<T>({k, e}, {&one, 0}, {grad_sum, 1}, {gq, e}, key_sum, e, count);
    AheadQueue ahead;
    for (const Head<const T>& head : {key, b.value, b.grad_out, b.out}) {
      ahead.add(head, first + kTile, b.length);
    }
    ahead.add(grad_query, first + kTile, b.length);
    stream_tile<false, T>({g, b.m}, {v, b.m}, {k, e}, {gq, e}, state, b.m, e, count, ahead);
    for (std::int64_t t = 0; t < count; ++t) {
      accumulate(gq + t * e, T{1}, b.args.beta_query, grad_query.row(first + t), grad_query.width);
    }
  }
}

// grad_key and grad_value: the suffix sweep. The tiles are packed in the order of time and read
// backwards.
template <class T>
void backward_key_value(const Backward<T>& b, const Columns& key_columns,
                        const Columns& value_columns, const Positions& positions, T* sums_so_far,
                        T* scratch) {
  const Head<T> grad_key = columns_of(b.grad_key, key_columns);
  const Head<T> grad_value = columns_of(b.grad_value, value_columns);
  const std::int64_t e = key_columns.count, m = value_columns.count;
  Carver<T> kept(sums_so_far), carve(scratch);
  T* key_state = kept.take(b.m * e);
  T* value_state = kept.take(b.e * m);
  T* query_sum = kept.take(e);
  T* q = carve.take(kTile * b.e);
  T* k = carve.take(kTile * b.e);
  T* v = carve.take(kTile * b.m);
  T* g = carve.take(kTile * b.m);
  T* gk = carve.take(kTile * e);
  T* gv = carve.take(kTile * m);
  T* grad_sum = carve.take(kTile);
  const T one = 1;
  for (std::int64_t first = (positions.last - 1) / kTile * kTile; first >= positions.first;
       first -= kTile) {
    const std::int64_t count = std::min(kTile, b.length - first);
    pack(b.query, first, count, b.length, b.e, q);
    pack(b.key, first, count, b.valid, b.e, k);
    pack(b.value, first, count, b.valid, b.m, v);
    b.pack_gradients(first, count, g, grad_sum);
    const std::int64_t last = count - 1;
    const Strip<const T> queries{q + last * b.e + key_columns.first, -b.e};
    const Strip<const T> gradients{g + last * b.m + value_columns.first, -b.m};
    running_sums<T>(queries, {grad_sum + last, -1}, {&one, 0}, {gk + last * e, -e}, query_sum, e,
                    count);
    AheadQueue ahead;
    for (const Head<const T>& head : {b.query, b.key, b.value, b.grad_out, b.out}) {
      ahead.add(head, first - kTile, b.length);
    }
    ahead.add(grad_key, first - kTile, b.length);
    ahead.add(grad_value, first - kTile, b.length);
    stream_tile<false, T>({v + last * b.m, -b.m}, {g + last * b.m, -b.m}, queries,
                          {gk + last * e, -e}, key_state, b.m, e, count, ahead);
    stream_tile<true, T>({k + last * b.e, -b.e}, {q + last * b.e, -b.e}, gradients,
                         {gv + last * m, -m}, value_state, b.e, m, count, ahead);
    for (std::int64_t t = 0; t < count; ++t) {
      const T keep = first + t < b.valid ? T{1} : T{0};
      accumulate(gk + t * e, keep, b.args.beta_key, grad_key.row(first + t), grad_key.width);
      accumulate(gv + t * m, keep, b.args.beta_value, grad_value.row(first + t), grad_value.width);
    }
  }
}

// Elements of a sweep's tiles.
template <class T>
std::int64_t tiles_size(std::int64_t query_width, std::int64_t value_width) {
  const std::int64_t e = padded<T>(query_width), m = padded<T>(value_width);
  return 3 * Carver<T>::size(kTile * e) + 3 * Carver<T>::size(kTile * m) +
         Carver<T>::size(kTile * kMaxLanes) + Carver<T>::size(kTile);
}

// Calls sweep(head, positions, its sums, tiles) for the heads of a job in turn, stretch by stretch
// from the first or, backwards, from the last.
template <class T, class Sweep>
void sweep_heads(const HeadJob& job, const Tensor& query, const Tensor& value, bool backwards,
                 const Sweep& sweep) {
  const std::int64_t size = state_size<T>(query.size(3), value.size(3));
  T* sums = thread_scratch<T>(job.heads * size + tiles_size<T>(query.size(3), value.size(3)));
  T* tiles = sums + job.heads * size;
  std::fill(sums, tiles, T{0});
  const std::int64_t length = query.size(1), stretches = (length + kStretch - 1) / kStretch;
  for (std::int64_t s = 0; s < stretches; ++s) {
    const std::int64_t first = (backwards ? stretches - 1 - s : s) * kStretch;
    for (std::int64_t i = 0; i < job.heads; ++i) {
      HeadPiece piece = job.first;
      piece.h += i;
      sweep(piece, Positions{first, std::min(length, first + kStretch)}, sums + i * size, tiles);
    }
  }
}

template <class T>
void forward_job(const CausalLinearAttentionForwardArgs& args, const HeadJob& job) {
  sweep_heads<T>(job, args.query, args.value, false,
                 [&](const HeadPiece& piece, const Positions& positions, T* sums, T* tiles) {
                   forward(args, piece, positions, sums, tiles);
                 });
}

template <class T>
void backward_job(const CausalLinearAttentionBackwardArgs& args, const HeadJob& job, bool suffix) {
  sweep_heads<T>(job, args.query, args.value, suffix,
                 [&](const HeadPiece& piece, const Positions& positions, T* sums, T* tiles) {
                   const Backward<T> b(args, piece.n, piece.h);
                   const Columns keys = columns_of_piece<T>(b.key.width, piece.piece, piece.pieces);
                   if (suffix) {
                     backward_key_value(
                         b, keys, columns_of_piece<T>(b.value.width, piece.piece, piece.pieces),
                         positions, sums, tiles);
                   } else {
                     backward_query(b, keys, positions, sums, tiles);
                   }
                 });
}

void Forward(const CausalLinearAttentionForwardArgs& args, const HeadJob& job) {
  with_float_type(args.query.dtype(), [&](auto zero) { forward_job<decltype(zero)>(args, job); });
}

void BackwardSweep(const CausalLinearAttentionBackwardArgs& args, const HeadJob& job, bool suffix) {
  with_float_type(args.query.dtype(),
                  [&](auto zero) { backward_job<decltype(zero)>(args, job, suffix); });
}

// The most pieces that a head of this width can be cut into.
std::int64_t MostPieces(DType dtype, std::int64_t width) {
  return with_float_type(dtype, [&](auto zero) {
    using T = decltype(zero);
    return padded<T>(width) / padding_unit<T>();
  });
}

}  // namespace
}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/parallel.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(MostPieces);
HWY_EXPORT(Forward);
HWY_EXPORT(BackwardSweep);

// How the heads of all sequences are divided into jobs. The division does not change the bits of
// the results.
struct Jobs {
  std::int64_t heads;   // of one sequence in a job, which takes a stretch of each in turn
  std::int64_t groups;  // of `heads` heads in a sequence
  std::int64_t pieces;  // of a head, more than 1 where there are fewer heads than threads
  std::int64_t count;

  Jobs(const Tensor& query, std::int64_t width) {
    const std::int64_t sequences = query.size(0), threads = pool_size();
    const std::int64_t all = std::max<std::int64_t>(1, sequences * query.size(2));
    const std::int64_t most = HWY_DYNAMIC_DISPATCH(MostPieces)(query.dtype(), width);
    heads = std::clamp(all / threads, std::int64_t{1}, std::max<std::int64_t>(1, query.size(2)));
    groups = (query.size(2) + heads - 1) / heads;
    pieces =
        std::clamp((threads + all - 1) / all, std::int64_t{1}, std::max<std::int64_t>(1, most));
    count = sequences * groups * pieces;
  }

  HeadJob job(std::int64_t i, std::int64_t all) const {
    const std::int64_t group = i / pieces, first = group % groups * heads;
    return {{group / groups, first, i % pieces, pieces}, std::min(heads, all - first)};
  }
};

}  // namespace

void causal_linear_attention_forward(const CausalLinearAttentionForwardArgs& args) {
  const Jobs jobs(args.query, args.value.size(3));
  parallel_for(jobs.count, [&](std::int64_t i) {
    HWY_DYNAMIC_DISPATCH(Forward)(args, jobs.job(i, args.query.size(2)));
  });
}

void causal_linear_attention_backward(const CausalLinearAttentionBackwardArgs& args) {
  // The two sweeps of a head are independent; the longer one goes first.
  const Jobs jobs(args.query, std::min(args.query.size(3), args.value.size(3)));
  parallel_for(2 * jobs.count, [&](std::int64_t i) {
    HWY_DYNAMIC_DISPATCH(BackwardSweep)
    (args, jobs.job(i % jobs.count, args.query.size(2)), i < jobs.count);
  });
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
