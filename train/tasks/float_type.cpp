#include "train/tasks/float_type.h"

#include <algorithm>

namespace tarn::train {
namespace {

template <class From, class To>
Tensor converted(const Tensor& from) {
  Tensor to = Tensor::empty(from.shape(), dtype_of<To>, Device::cpu());
  const From* first = from.data<From>();
  std::transform(first, first + from.elements(), to.mutable_data<To>(),
                 [](From x) { return static_cast<To>(x); });
  return to;
}

}  // namespace

Tensor in_float_type(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) return tensor;
  if (dtype == DType::f32) return converted<double, float>(tensor);
  TARN_CHECK_AS(DTypeError, dtype == DType::f64, name_of(dtype), " is neither f32 nor f64");
  return converted<float, double>(tensor);
}

}  // namespace tarn::train
