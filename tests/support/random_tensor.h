// Tensors for tests: filled with normals by address, read and written as doubles whatever their
// dtype, strides and device. Flat indices are row-major, of the shape and not of the storage. What
// is made here is on the CPU.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "core/device_runtime.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "core/transfer.h"

namespace tarn::test {

namespace detail {

template <class F>
auto with_type(DType dtype, const F& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::i32:
      return f(std::int32_t{});
    case DType::i64:
      return f(std::int64_t{});
    case DType::u8:
      return f(std::uint8_t{});
    case DType::bf16:
      break;  // read by kernels alone
  }
  fail<DTypeError>("test: unknown dtype");
}

// Elements of storage from a tensor's first to the one of a flat index.
inline std::int64_t offset_of(const Tensor& t, std::int64_t flat) {
  std::int64_t offset = 0;
  for (int d = t.rank() - 1; d >= 0; --d) {
    offset += flat % t.size(d) * t.strides()[d];
    flat /= t.size(d);
  }
  return offset;
}

inline std::int64_t offset_of(const Tensor& t, std::initializer_list<std::int64_t> index) {
  TARN_CHECK_SHAPE(static_cast<int>(index.size()) == t.rank(), "test: ", index.size(),
                   " indices into ", t.shape());
  std::int64_t offset = 0;
  int d = 0;
  for (const std::int64_t i : index) {
    TARN_CHECK_SHAPE(i >= 0 && i < t.size(d), "test: index ", i, " of dimension ", d, " of ",
                     t.shape());
    offset += i * t.strides()[d++];
  }
  return offset;
}

inline double load(const Tensor& t, std::int64_t offset) {
  return with_type(t.dtype(), [&](auto value) {
    const auto* from = t.data<decltype(value)>() + offset;
    if (t.device() == Device::cpu()) return static_cast<double>(*from);
    runtime_of(t.device()).copy_out(t.device().index, &value, from, sizeof(value));
    return static_cast<double>(value);
  });
}

inline void store(const Tensor& t, std::int64_t offset, double value) {
  with_type(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* to = t.mutable_data<T>() + offset;
    const T element = static_cast<T>(value);
    if (t.device() == Device::cpu()) {
      *to = element;
    } else {
      runtime_of(t.device()).copy_in(t.device().index, to, &element, sizeof(T));
    }
  });
}

}  // namespace detail

// The tensor itself if it is on the CPU, or else a contiguous copy there, whatever its strides.
// Many elements of a device are read from this, since get() copies one.
inline Tensor on_host(const Tensor& t) {
  if (t.device() == Device::cpu()) return t;
  if (t.is_contiguous() || t.elements() == 0) return copy_to(t, Device::cpu());
  const std::int64_t span = detail::offset_of(t, t.elements() - 1) + 1;
  const auto size = static_cast<std::size_t>(size_of(t.dtype()));
  std::vector<std::byte> stored(static_cast<std::size_t>(span) * size);
  runtime_of(t.device()).copy_out(t.device().index, stored.data(), t.raw(), stored.size());
  Tensor out = Tensor::empty(t.shape(), t.dtype(), Device::cpu());
  for (std::int64_t i = 0; i < t.elements(); ++i) {
    std::memcpy(out.raw() + static_cast<std::size_t>(i) * size,
                stored.data() + static_cast<std::size_t>(detail::offset_of(t, i)) * size, size);
  }
  return out;
}

// get(t, {n, l, h, e}) or get(t, flat).
inline double get(const Tensor& t, std::initializer_list<std::int64_t> index) {
  return detail::load(t, detail::offset_of(t, index));
}
inline double get(const Tensor& t, std::int64_t flat) {
  return detail::load(t, detail::offset_of(t, flat));
}
inline void set(const Tensor& t, std::initializer_list<std::int64_t> index, double value) {
  detail::store(t, detail::offset_of(t, index), value);
}
inline void set(const Tensor& t, std::int64_t flat, double value) {
  detail::store(t, detail::offset_of(t, flat), value);
}

inline void fill(const Tensor& t, double value) {
  for (std::int64_t i = 0; i < t.elements(); ++i) set(t, i, value);
}

// Standard normals that depend on the name, the seed and the flat index alone: tensors of one name
// and shape hold the same numbers in any dtype (rounded to it) and layout.
inline void fill_normal(const Tensor& t, std::string_view name, std::uint64_t seed = 1) {
  const RngAddress at{seed, site_of(name), 0};
  for (std::int64_t i = 0; i < t.elements(); ++i) {
    set(t, i, random_normal(at, static_cast<std::uint64_t>(i)));
  }
}

inline Tensor random_tensor(const Shape& shape, DType dtype, std::string_view name,
                            std::uint64_t seed = 1) {
  Tensor t = Tensor::empty(shape, dtype, Device::cpu());
  fill_normal(t, name, seed);
  return t;
}

inline Tensor full(const Shape& shape, DType dtype, double value) {
  Tensor t = Tensor::empty(shape, dtype, Device::cpu());
  fill(t, value);
  return t;
}

// The elements in row-major order, and a contiguous tensor of such.
inline std::vector<double> to_vector(const Tensor& on_device) {
  const Tensor t = on_host(on_device);
  std::vector<double> values(static_cast<std::size_t>(t.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = get(t, static_cast<std::int64_t>(i));
  return values;
}
inline Tensor from_vector(const Shape& shape, const std::vector<double>& values,
                          DType dtype = DType::f64) {
  TARN_CHECK_SHAPE(shape.elements() == static_cast<std::int64_t>(values.size()),
                   "test: ", values.size(), " values for ", shape);
  Tensor t = Tensor::empty(shape, dtype, Device::cpu());
  for (std::size_t i = 0; i < values.size(); ++i) set(t, static_cast<std::int64_t>(i), values[i]);
  return t;
}

// A contiguous copy, in another dtype if one is given.
inline Tensor cast(const Tensor& t, DType dtype) {
  return from_vector(t.shape(), to_vector(t), dtype);
}
inline Tensor copy_of(const Tensor& t) { return cast(t, t.dtype()); }

// The largest |a|; NaN if any element is, so that no comparison with it holds.
inline double max_abs(const Tensor& on_device) {
  const Tensor a = on_host(on_device);
  double largest = 0;
  for (std::int64_t i = 0; i < a.elements(); ++i) {
    const double x = std::abs(get(a, i));
    if (!(x <= largest)) largest = x;
    if (std::isnan(x)) break;
  }
  return largest;
}

// The largest |a - b| of tensors of one shape, of any dtypes; equal infinities do not differ.
inline double max_abs_difference(const Tensor& a_on_device, const Tensor& b_on_device) {
  const Tensor a = on_host(a_on_device), b = on_host(b_on_device);
  TARN_CHECK_SHAPE(a.shape() == b.shape(), "test: ", a.shape(), " compared with ", b.shape());
  double largest = 0;
  for (std::int64_t i = 0; i < a.elements(); ++i) {
    const double x = get(a, i);
    const double y = get(b, i);
    const double difference = x == y ? 0 : std::abs(x - y);
    if (!(difference <= largest)) largest = difference;
    if (std::isnan(difference)) break;
  }
  return largest;
}

// The same in units of the largest |b|.
inline double relative_difference(const Tensor& a, const Tensor& b) {
  const double unit = max_abs(b);
  const double difference = max_abs_difference(a, b);
  return unit > 0 ? difference / unit : difference;
}

// d loss() / d element, by the central difference. The tensor is as it was afterwards.
template <class Loss>
double central_difference(const Tensor& t, std::int64_t flat, const Loss& loss,
                          double step = 1e-6) {
  const double old = get(t, flat);
  set(t, flat, old + step);
  const double above = loss();
  set(t, flat, old - step);
  const double below = loss();
  set(t, flat, old);
  return (above - below) / (2 * step);
}

}  // namespace tarn::test
