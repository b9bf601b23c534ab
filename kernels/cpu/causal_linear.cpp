#include "kernels/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/causal_linear.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
//
#include "kernels/cpu/recurrence-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::HWY_NAMESPACE {

template <class T>
void forward(const CausalLinearForwardArgs& args, const HeadPiece& piece, T* scratch) {
  const auto [n, h, index, pieces] = piece;
  const Columns mine = columns_of_piece<T>(args.value.size(3), index, pieces);
  const Head<const T> query(args.query, n, h);
  const Head<const T> key(args.key, n, h);
  const Head<const T> value = columns_of(Head<const T>(args.value, n, h), mine);
  const Head<T> out = columns_of(Head<T>(args.out, n, h), mine);
  const std::int64_t length = args.query.size(1);
  const std::int64_t valid = args.lengths.defined() ? args.lengths.data<std::int32_t>()[n] : length;
  T* inverse_sum = args.inverse_sum.mutable_data<T>() + (n * args.query.size(2) + h) * length;
  const std::int64_t e = padded<T>(query.width);
  const std::int64_t m = mine.count;

  Carver<T> carve(scratch);
  T* state = carve.take_zeros(e * m);
  T* key_sum = carve.take_zeros(e);
  T* q = carve.take(kTile * e);
  T* k = carve.take(kTile * e);
  T* v = carve.take(kTile * m);
  T* o = carve.take(kTile * m);
  T* partial = carve.take(kTile * kMaxLanes);
  T* sums = carve.take(kTile);
  for (std::int64_t first = 0; first < length; first += kTile) {
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
      arrive(o + t * m, inverse, 0, out.row(first + t), value.width);
    }
  }
}

// What the backward sweeps share: the heads and the gradients behind the division,
// scaled[t] = grad_out[t] * inverse_sum[t] and along[t] = -(grad_out[t] . out[t]) * inverse_sum[t].
template <class T>
struct Backward {
  Backward(const CausalLinearBackwardArgs& a, std::int64_t n, std::int64_t h)
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
        valid(a.lengths.defined() ? a.lengths.data<std::int32_t>()[n] : length),
        inverse_sum(a.inverse_sum.data<T>() + (n * a.query.size(2) + h) * length),
        e(padded<T>(query.width)),
        m(padded<T>(value.width)) {}

  void pack_gradients(std::int64_t first, std::int64_t count, T* scaled, T* along) const {
    pack_gradient(grad_out, out, first, count, inverse_sum + first, m, scaled, along);
  }

  const CausalLinearBackwardArgs& args;
  Head<const T> query, key, value, out, grad_out;
  Head<T> grad_query, grad_key, grad_value;
  std::int64_t length, valid;
  const T* inverse_sum;
  std::int64_t e, m;
};

// grad_query: the prefix sweep, the forward's own recurrence with other operands.
template <class T>
void backward_query(const Backward<T>& b, const Columns& mine, T* scratch) {
  const Head<const T> key = columns_of(b.key, mine);
  const Head<T> grad_query = columns_of(b.grad_query, mine);
  const std::int64_t e = mine.count;
  Carver<T> carve(scratch);
  T* state = carve.take_zeros(b.m * e);
  T* key_sum = carve.take_zeros(e);
  T* k = carve.take(kTile * e);
  T* v = carve.take(kTile * b.m);
  T* g = carve.take(kTile * b.m);
  T* gq = carve.take(kTile * e);
  T* along = carve.take(kTile);
  const T one = 1;
  for (std::int64_t first = 0; first < b.length; first += kTile) {
    const std::int64_t count = std::min(kTile, b.length - first);
    pack(key, first, count, b.valid, e, k);
    pack(b.value, first, count, b.valid, b.m, v);
    b.pack_gradients(first, count, g, along);
    running_sums<T>({k, e}, {&one, 0}, {along, 1}, {gq, e}, key_sum, e, count);
    AheadQueue ahead;
    for (const Head<const T>& head : {key, b.value, b.grad_out, b.out}) {
      ahead.add(head, first + kTile, b.length);
    }
    ahead.add(grad_query, first + kTile, b.length);
    stream_tile<false, T>({g, b.m}, {v, b.m}, {k, e}, {gq, e}, state, b.m, e, count, ahead);
    for (std::int64_t t = 0; t < count; ++t) {
      arrive(gq + t * e, T{1}, b.args.beta_query, grad_query.row(first + t), grad_query.width);
    }
  }
}

// grad_key and grad_value: the suffix sweep. The tiles are packed in time's order and walked back.
template <class T>
void backward_key_value(const Backward<T>& b, const Columns& key_columns,
                        const Columns& value_columns, T* scratch) {
  const Head<T> grad_key = columns_of(b.grad_key, key_columns);
  const Head<T> grad_value = columns_of(b.grad_value, value_columns);
  const std::int64_t e = key_columns.count, m = value_columns.count;
  Carver<T> carve(scratch);
  T* key_state = carve.take_zeros(b.m * e);
  T* value_state = carve.take_zeros(b.e * m);
  T* query_sum = carve.take_zeros(e);
  T* q = carve.take(kTile * b.e);
  T* k = carve.take(kTile * b.e);
  T* v = carve.take(kTile * b.m);
  T* g = carve.take(kTile * b.m);
  T* gk = carve.take(kTile * e);
  T* gv = carve.take(kTile * m);
  T* along = carve.take(kTile);
  const T one = 1;
  for (std::int64_t first = (b.length - 1) / kTile * kTile; first >= 0; first -= kTile) {
    const std::int64_t count = std::min(kTile, b.length - first);
    pack(b.query, first, count, b.length, b.e, q);
    pack(b.key, first, count, b.valid, b.e, k);
    pack(b.value, first, count, b.valid, b.m, v);
    b.pack_gradients(first, count, g, along);
    const std::int64_t last = count - 1;
    const Strip<const T> queries{q + last * b.e + key_columns.first, -b.e};
    const Strip<const T> gradients{g + last * b.m + value_columns.first, -b.m};
    running_sums<T>(queries, {along + last, -1}, {&one, 0}, {gk + last * e, -e}, query_sum, e,
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
      arrive(gk + t * e, keep, b.args.beta_key, grad_key.row(first + t), grad_key.width);
      arrive(gv + t * m, keep, b.args.beta_value, grad_value.row(first + t), grad_value.width);
    }
  }
}

template <class T>
void step(const CausalLinearStepArgs& args, std::int64_t n, std::int64_t h) {
  const auto row = [&](const Tensor& x) HWY_ATTR {
    return x.mutable_data<T>() + n * x.strides()[0] + h * x.strides()[1];
  };
  const std::int64_t e = args.query.size(2);
  const std::int64_t m = args.value.size(2);
  const std::int64_t heads = args.query.size(1);
  const T* query = row(args.query);
  const T* key = row(args.key);
  const T* value = row(args.value);
  T* out = row(args.out);
  T* state = args.sum.mutable_data<T>() + (n * heads + h) * e * m;
  T* key_sum = args.key_sum.mutable_data<T>() + (n * heads + h) * e;
  std::fill(out, out + m, T{0});
  for (std::int64_t i = 0; i < e; ++i) {
    key_sum[i] += key[i];
    T* at = state + i * m;
    for_vectors<T>(m, [&](auto d, std::int64_t j) HWY_ATTR {
      const auto sum =
          hn::MulAdd(hn::Set(d, key[i]), hn::LoadU(d, value + j), hn::LoadU(d, at + j));
      hn::StoreU(sum, d, at + j);
      hn::StoreU(hn::MulAdd(hn::Set(d, query[i]), sum, hn::LoadU(d, out + j)), d, out + j);
    });
  }
  const T inverse = T{1} / (dot(query, key_sum, e) + static_cast<T>(args.eps));
  for (std::int64_t j = 0; j < m; ++j) out[j] *= inverse;
}

// Elements of scratch for any of the sweeps, with room for the carver's rounding.
template <class T>
std::int64_t sweep_scratch(std::int64_t query_width, std::int64_t value_width) {
  const std::int64_t e = padded<T>(query_width);
  const std::int64_t m = padded<T>(value_width);
  return 2 * e * m + e + kTile * (3 * e + 3 * m + 1 + kMaxLanes) + std::int64_t{16 * 16};
}

std::int64_t SweepScratch(DType dtype, std::int64_t query_width, std::int64_t value_width) {
  return dtype == DType::f32 ? sweep_scratch<float>(query_width, value_width) * 4
                             : sweep_scratch<double>(query_width, value_width) * 8;
}

void Forward(const CausalLinearForwardArgs& args, const HeadPiece& piece, void* scratch) {
  if (args.query.dtype() == DType::f32) {
    forward(args, piece, static_cast<float*>(scratch));
  } else {
    forward(args, piece, static_cast<double*>(scratch));
  }
}

template <class T>
void backward(const CausalLinearBackwardArgs& args, const HeadPiece& piece, bool suffix, T* scratch) {
  const Backward<T> b(args, piece.n, piece.h);
  const Columns keys = columns_of_piece<T>(b.key.width, piece.piece, piece.pieces);
  if (suffix) {
    backward_key_value(b, keys, columns_of_piece<T>(b.value.width, piece.piece, piece.pieces),
                       scratch);
  } else {
    backward_query(b, keys, scratch);
  }
}

void BackwardSweep(const CausalLinearBackwardArgs& args, const HeadPiece& piece, bool suffix,
                   void* scratch) {
  if (args.query.dtype() == DType::f32) {
    backward(args, piece, suffix, static_cast<float*>(scratch));
  } else {
    backward(args, piece, suffix, static_cast<double*>(scratch));
  }
}

// Pieces that a head of this width can be cut into.
std::int64_t MostPieces(DType dtype, std::int64_t width) {
  return dtype == DType::f32 ? padded<float>(width) / padding_unit<float>()
                             : padded<double>(width) / padding_unit<double>();
}

void Step(const CausalLinearStepArgs& args, std::int64_t n, std::int64_t h) {
  if (args.query.dtype() == DType::f32) {
    step<float>(args, n, h);
  } else {
    step<double>(args, n, h);
  }
}

}  // namespace tarn::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/table.h"

namespace tarn::kernels {
namespace {

HWY_EXPORT(SweepScratch);
HWY_EXPORT(MostPieces);
HWY_EXPORT(Forward);
HWY_EXPORT(BackwardSweep);
HWY_EXPORT(Step);

void* sweep_scratch(const Tensor& query, const Tensor& value) {
  return thread_scratch_bytes(static_cast<std::size_t>(
      HWY_DYNAMIC_DISPATCH(SweepScratch)(query.dtype(), query.size(3), value.size(3))));
}

// Fewer heads than threads are cut, so that all have work. It costs packing the rows again, and
// changes no bit.
std::int64_t pieces_of_head(const Tensor& query, std::int64_t width) {
  const std::int64_t heads = query.size(0) * query.size(2), threads = pool_size();
  if (heads >= threads || heads == 0) return 1;
  return std::min((threads + heads - 1) / heads,
                  HWY_DYNAMIC_DISPATCH(MostPieces)(query.dtype(), width));
}

}  // namespace

void causal_linear_forward(const CausalLinearForwardArgs& args) {
  const std::int64_t heads = args.query.size(2);
  const std::int64_t pieces = pieces_of_head(args.query, args.value.size(3));
  parallel_for(args.query.size(0) * heads * pieces, [&](std::int64_t i) {
    const std::int64_t head = i / pieces;
    HWY_DYNAMIC_DISPATCH(Forward)
    (args, {head / heads, head % heads, i % pieces, pieces}, sweep_scratch(args.query, args.value));
  });
}

void causal_linear_backward(const CausalLinearBackwardArgs& args) {
  // The two sweeps of a head are independent; the longer one goes first.
  const std::int64_t heads = args.query.size(2);
  const std::int64_t pieces =
      pieces_of_head(args.query, std::min(args.query.size(3), args.value.size(3)));
  const std::int64_t jobs = args.query.size(0) * heads * pieces;
  parallel_for(2 * jobs, [&](std::int64_t i) {
    const bool suffix = i < jobs;
    const std::int64_t head = i % jobs / pieces;
    HWY_DYNAMIC_DISPATCH(BackwardSweep)
    (args, {head / heads, head % heads, i % pieces, pieces}, suffix,
     sweep_scratch(args.query, args.value));
  });
}

void causal_linear_step(const CausalLinearStepArgs& args) {
  const std::int64_t heads = args.query.size(1);
  parallel_for(args.query.size(0) * heads, [&](std::int64_t i) {
    HWY_DYNAMIC_DISPATCH(Step)(args, i / heads, i % heads);
  });
}

}  // namespace tarn::kernels
#endif  // HWY_ONCE
