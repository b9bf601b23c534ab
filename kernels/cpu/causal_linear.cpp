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
void forward(const CausalLinearForwardArgs& args, std::int64_t n, std::int64_t h, T* scratch) {
  const Head<const T> query(args.query, n, h);
  const Head<const T> key(args.key, n, h);
  const Head<const T> value(args.value, n, h);
  const Head<T> out(args.out, n, h);
  const std::int64_t length = args.query.size(1);
  const std::int64_t valid = args.lengths.defined() ? args.lengths.data<std::int32_t>()[n] : length;
  T* inverse_sum = args.inverse_sum.mutable_data<T>() + (n * args.query.size(2) + h) * length;
  const std::int64_t e = padded<T>(query.width);
  const std::int64_t m = padded<T>(value.width);

  Carver<T> carve(scratch);
  T* state = carve.take_zeros(e * m);
  T* key_sum = carve.take_zeros(e);
  T* q = carve.take(kTile * e);
  T* k = carve.take(kTile * e);
  T* v = carve.take(kTile * m);
  T* o = carve.take(kTile * m);
  for (std::int64_t first = 0; first < length; first += kTile) {
    const std::int64_t count = std::min(kTile, length - first);
    pack(query, first, count, length, e, q);
    pack(key, first, count, valid, e, k);
    pack(value, first, count, valid, m, v);
    std::fill(o, o + count * m, T{0});
    stream_tile<T>({q, e}, {k, e}, {v, m}, {o, m}, state, e, m, count);
    for (std::int64_t t = 0; t < count; ++t) {
      add_scaled(k + t * e, T{1}, key_sum, e);
      const T inverse = T{1} / (dot(q + t * e, key_sum, e) + static_cast<T>(args.eps));
      inverse_sum[first + t] = inverse;
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
        length(a.query.size(1)),
        valid(a.lengths.defined() ? a.lengths.data<std::int32_t>()[n] : length),
        inverse_sum(a.inverse_sum.data<T>() + (n * a.query.size(2) + h) * length),
        e(padded<T>(query.width)),
        m(padded<T>(value.width)) {}

  void pack_gradients(std::int64_t first, std::int64_t count, T* scaled, T* along) const {
    for (std::int64_t t = 0; t < count; ++t) {
      const T* g = grad_out.row(first + t);
      const T inverse = inverse_sum[first + t];
      arrive(g, inverse, 0, scaled + t * m, value.width);
      std::fill(scaled + t * m + value.width, scaled + (t + 1) * m, T{0});
      along[t] = -dot(g, out.row(first + t), value.width) * inverse;
    }
  }

  const CausalLinearBackwardArgs& args;
  Head<const T> query, key, value, out, grad_out;
  std::int64_t length, valid;
  const T* inverse_sum;
  std::int64_t e, m;
};

// grad_query: the prefix sweep, the forward's own recurrence with other operands.
template <class T>
void backward_query(const Backward<T>& b, const Head<T>& grad_query, T* scratch) {
  Carver<T> carve(scratch);
  T* state = carve.take_zeros(b.m * b.e);
  T* key_sum = carve.take_zeros(b.e);
  T* k = carve.take(kTile * b.e);
  T* v = carve.take(kTile * b.m);
  T* g = carve.take(kTile * b.m);
  T* gq = carve.take(kTile * b.e);
  T* along = carve.take(kTile);
  for (std::int64_t first = 0; first < b.length; first += kTile) {
    const std::int64_t count = std::min(kTile, b.length - first);
    pack(b.key, first, count, b.valid, b.e, k);
    pack(b.value, first, count, b.valid, b.m, v);
    b.pack_gradients(first, count, g, along);
    for (std::int64_t t = 0; t < count; ++t) {
      add_scaled(k + t * b.e, T{1}, key_sum, b.e);
      set_scaled(key_sum, along[t], gq + t * b.e, b.e);
    }
    stream_tile<T>({g, b.m}, {v, b.m}, {k, b.e}, {gq, b.e}, state, b.m, b.e, count);
    for (std::int64_t t = 0; t < count; ++t) {
      arrive(gq + t * b.e, T{1}, b.args.beta_query, grad_query.row(first + t), b.query.width);
    }
  }
}

// grad_key and grad_value: the suffix sweep. The tiles are packed in time's order and walked back.
template <class T>
void backward_key_value(const Backward<T>& b, const Head<T>& grad_key, const Head<T>& grad_value,
                        T* scratch) {
  Carver<T> carve(scratch);
  T* key_state = carve.take_zeros(b.m * b.e);
  T* value_state = carve.take_zeros(b.e * b.m);
  T* query_sum = carve.take_zeros(b.e);
  T* q = carve.take(kTile * b.e);
  T* k = carve.take(kTile * b.e);
  T* v = carve.take(kTile * b.m);
  T* g = carve.take(kTile * b.m);
  T* gk = carve.take(kTile * b.e);
  T* gv = carve.take(kTile * b.m);
  T* along = carve.take(kTile);
  for (std::int64_t first = (b.length - 1) / kTile * kTile; first >= 0; first -= kTile) {
    const std::int64_t count = std::min(kTile, b.length - first);
    pack(b.query, first, count, b.length, b.e, q);
    pack(b.key, first, count, b.valid, b.e, k);
    pack(b.value, first, count, b.valid, b.m, v);
    b.pack_gradients(first, count, g, along);
    for (std::int64_t t = count - 1; t >= 0; --t) {
      add_scaled(q + t * b.e, along[t], query_sum, b.e);
      set_scaled(query_sum, T{1}, gk + t * b.e, b.e);
    }
    std::fill(gv, gv + count * b.m, T{0});
    const std::int64_t last = count - 1;
    stream_tile<T>({v + last * b.m, -b.m}, {g + last * b.m, -b.m}, {q + last * b.e, -b.e},
                   {gk + last * b.e, -b.e}, key_state, b.m, b.e, count);
    stream_tile<T>({k + last * b.e, -b.e}, {q + last * b.e, -b.e}, {g + last * b.m, -b.m},
                   {gv + last * b.m, -b.m}, value_state, b.e, b.m, count);
    for (std::int64_t t = 0; t < count; ++t) {
      const T keep = first + t < b.valid ? T{1} : T{0};
      arrive(gk + t * b.e, keep, b.args.beta_key, grad_key.row(first + t), b.key.width);
      arrive(gv + t * b.m, keep, b.args.beta_value, grad_value.row(first + t), b.value.width);
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
  return 2 * e * m + e + kTile * (3 * e + 3 * m + 1) + std::int64_t{16 * 16};
}

std::int64_t SweepScratch(DType dtype, std::int64_t query_width, std::int64_t value_width) {
  return dtype == DType::f32 ? sweep_scratch<float>(query_width, value_width) * 4
                             : sweep_scratch<double>(query_width, value_width) * 8;
}

void Forward(const CausalLinearForwardArgs& args, std::int64_t n, std::int64_t h, void* scratch) {
  if (args.query.dtype() == DType::f32) {
    forward(args, n, h, static_cast<float*>(scratch));
  } else {
    forward(args, n, h, static_cast<double*>(scratch));
  }
}

template <class T>
void backward(const CausalLinearBackwardArgs& args, std::int64_t n, std::int64_t h, bool suffix,
              T* scratch) {
  const Backward<T> b(args, n, h);
  if (suffix) {
    backward_key_value(b, Head<T>(args.grad_key, n, h), Head<T>(args.grad_value, n, h), scratch);
  } else {
    backward_query(b, Head<T>(args.grad_query, n, h), scratch);
  }
}

void BackwardSweep(const CausalLinearBackwardArgs& args, std::int64_t n, std::int64_t h,
                   bool suffix, void* scratch) {
  if (args.query.dtype() == DType::f32) {
    backward(args, n, h, suffix, static_cast<float*>(scratch));
  } else {
    backward(args, n, h, suffix, static_cast<double*>(scratch));
  }
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
HWY_EXPORT(Forward);
HWY_EXPORT(BackwardSweep);
HWY_EXPORT(Step);

void* sweep_scratch(const Tensor& query, const Tensor& value) {
  return thread_scratch_bytes(static_cast<std::size_t>(
      HWY_DYNAMIC_DISPATCH(SweepScratch)(query.dtype(), query.size(3), value.size(3))));
}

}  // namespace

void causal_linear_forward(const CausalLinearForwardArgs& args) {
  const std::int64_t heads = args.query.size(2);
  parallel_for(args.query.size(0) * heads, [&](std::int64_t i) {
    HWY_DYNAMIC_DISPATCH(Forward)
    (args, i / heads, i % heads, sweep_scratch(args.query, args.value));
  });
}

void causal_linear_backward(const CausalLinearBackwardArgs& args) {
  // The two sweeps of a head are independent; the longer one goes first.
  const std::int64_t heads = args.query.size(2);
  const std::int64_t sequences = args.query.size(0) * heads;
  parallel_for(2 * sequences, [&](std::int64_t i) {
    const bool suffix = i < sequences;
    const std::int64_t s = i % sequences;
    HWY_DYNAMIC_DISPATCH(BackwardSweep)
    (args, s / heads, s % heads, suffix, sweep_scratch(args.query, args.value));
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
