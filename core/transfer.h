// Elements between a device and the program's own memory.
#pragma once

#include <memory>
#include <span>

#include "core/device_runtime.h"
#include "core/tensor.h"

namespace tarn {

// A contiguous copy of the tensor's elements on a device. No gradient comes back through it. A
// tensor that is not contiguous must be on the CPU (elsewhere the kernel `copy` makes it contiguous
// first): DeviceError. A copy to the CPU waits until the device has computed what it holds; so does
// item().
Tensor copy_to(const Tensor& tensor, Device device);

// Writes the elements of `from` over those of `to`: one shape and dtype, both contiguous.
void copy_into(const Tensor& from, const Tensor& to);

// The elements of a tensor on their way to the program's memory: the copy is asked for where this
// is made, and made when the device comes to it, so that the program can go on in between.
class HostCopy {
 public:
  HostCopy() = default;
  explicit HostCopy(const Tensor& tensor);  // contiguous, with one element at least

  // Waits until they are there. They live as long as the HostCopy.
  template <class T>
  std::span<const T> wait() {
    TARN_CHECK_AS(DTypeError, dtype_ == dtype_of<T>, "a copy of ", name_of(dtype_),
                  " is read as another type");
    return {reinterpret_cast<const T*>(copy_->wait()), elements_};
  }

 private:
  std::unique_ptr<PendingCopy> copy_;
  std::size_t elements_ = 0;
  DType dtype_ = DType::f32;
};

// Waits until a device has done all that was asked of it; the CPU always has.
void wait_for(Device device);

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
