// The one place that turns a tensor's dtype into a type: kernels compute in f32 and in f64.
#pragma once

#include <cstdint>

#include "core/check.h"
#include "core/dtype.h"

namespace tarn::kernels {

// Returns body(float{}) or body(double{}).
template <class Body>
auto with_float_type(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::f32:
      return body(float{});
    case DType::f64:
      return body(double{});
    default:
      fail<DTypeError>("a kernel that computes in f32 or f64 was given ", name_of(dtype));
  }
}

// Returns body(T{}) with an unsigned T of the dtype's size: for what moves elements and computes
// nothing.
template <class Body>
auto with_type_of_size(DType dtype, const Body& body) {
  switch (size_of(dtype)) {
    case 8:
      return body(std::uint64_t{});
    case 4:
      return body(std::uint32_t{});
    case 2:
      return body(std::uint16_t{});
    default:
      return body(std::uint8_t{});
  }
}

}  // namespace tarn::kernels
