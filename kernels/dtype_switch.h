// One place that turns a tensor's dtype into a type: kernels compute in f32 and in f64.
#pragma once

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

}  // namespace tarn::kernels
