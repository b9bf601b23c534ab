// Elements between a device and the program's own memory.
#pragma once

#include <span>

#include "core/tensor.h"

namespace tarn {

// A contiguous copy of the tensor's elements on a device. No gradient comes back through it. A
// tensor that is not contiguous must be on the CPU (elsewhere the kernel `copy` makes it contiguous
// first): DeviceError. A copy to the CPU waits until the device has computed what it holds; so does
// item().
Tensor copy_to(const Tensor& tensor, Device device);

// Writes the elements of `from` over those of `to`: one shape and dtype, both contiguous.
void copy_into(const Tensor& from, const Tensor& to);

// The one element of a tensor, as a double.
double item(const Tensor& tensor);

// A tensor made of the program's values.
template <class T>
Tensor from_values(std::span<const T> values, const Shape& shape, Device device);

extern template Tensor from_values<float>(std::span<const float>, const Shape&, Device);
extern template Tensor from_values<double>(std::span<const double>, const Shape&, Device);
extern template Tensor from_values<std::int32_t>(std::span<const std::int32_t>, const Shape&,
                                                 Device);

}  // namespace tarn
