#include "core/transfer.h"

#include <cstring>
#include <vector>

#include "core/device_runtime.h"

namespace tarn {
namespace {

// Copies element by element in row-major order; `size` is the size of one.
void gather(const Tensor& from, std::byte* to, std::size_t size) {
  Shape index = Shape::of_rank(from.rank(), 0);
  for (std::int64_t i = 0; i < from.elements(); ++i, to += size) {
    std::int64_t offset = 0;
    for (int d = 0; d < from.rank(); ++d) offset += index[d] * from.strides()[d];
    std::memcpy(to, from.raw() + offset * static_cast<std::int64_t>(size), size);
    for (int d = from.rank() - 1; d >= 0 && ++index[d] == from.size(d); --d) index[d] = 0;
  }
}

// Bytes between any two devices; by way of the program's memory where neither end is it.
void copy_bytes(const std::byte* from, Device from_device, std::byte* to, Device to_device,
                std::size_t bytes) {
  if (from_device == to_device) {
    return runtime_of(to_device).copy_within(to_device.index, to, from, bytes);
  }
  if (from_device == Device::cpu()) {
    return runtime_of(to_device).copy_in(to_device.index, to, from, bytes);
  }
  if (to_device == Device::cpu()) {
    return runtime_of(from_device).copy_out(from_device.index, to, from, bytes);
  }
  std::vector<std::byte> staged(bytes);
  copy_bytes(from, from_device, staged.data(), Device::cpu(), bytes);
  copy_bytes(staged.data(), Device::cpu(), to, to_device, bytes);
}

}  // namespace

Tensor copy_to(const Tensor& tensor, Device device) {
  Tensor out = Tensor::empty(tensor.shape(), tensor.dtype(), device);
  out.slot = {tensor.slot.tape, 0};
  if (tensor.elements() == 0) return out;
  const auto bytes = static_cast<std::size_t>(tensor.bytes());
  if (tensor.is_contiguous()) {
    copy_bytes(tensor.raw(), tensor.device(), out.raw(), device, bytes);
    return out;
  }
  TARN_CHECK_AS(DeviceError, tensor.device() == Device::cpu(), "copy_to: ", tensor.str(), " on ",
                tensor.device(),
                " is not contiguous, and only the CPU's memory is gathered here; the kernel copy "
                "makes it so");
  if (device == Device::cpu()) {
    gather(tensor, out.raw(), static_cast<std::size_t>(size_of(tensor.dtype())));
    return out;
  }
  return copy_to(copy_to(tensor, Device::cpu()), device);
}

void copy_into(const Tensor& from, const Tensor& to) {
  TARN_CHECK_SHAPE(from.shape() == to.shape() && from.dtype() == to.dtype() &&
                       from.is_contiguous() && to.is_contiguous(),
                   "copy_into: ", from.str(), " does not fit ", to.str());
  if (from.elements() == 0) return;
  copy_bytes(from.raw(), from.device(), to.raw(), to.device(),
             static_cast<std::size_t>(from.bytes()));
}

HostCopy::HostCopy(const Tensor& tensor)
    : elements_(static_cast<std::size_t>(tensor.elements())), dtype_(tensor.dtype()) {
  TARN_CHECK_SHAPE(tensor.is_contiguous() && tensor.elements() > 0, "HostCopy: ", tensor.str(),
                   " is not contiguous, or empty");
  const Device device = tensor.device();
  copy_ = runtime_of(device).copy_out_later(device.index, tensor.raw(),
                                            static_cast<std::size_t>(tensor.bytes()));
}

void wait_for(Device device) { runtime_of(device).wait(device.index); }

double item(const Tensor& tensor) {
  TARN_CHECK_SHAPE(tensor.elements() == 1, "item: ", tensor.str(), " is not one element");
  if (tensor.device() != Device::cpu()) return item(copy_to(tensor.view({}), Device::cpu()));
  switch (tensor.dtype()) {
    case DType::f32:
      return static_cast<double>(*tensor.data<float>());
    case DType::f64:
      return *tensor.data<double>();
    case DType::i32:
      return static_cast<double>(*tensor.data<std::int32_t>());
    case DType::i64:
      return static_cast<double>(*tensor.data<std::int64_t>());
    case DType::u8:
      return static_cast<double>(*tensor.data<std::uint8_t>());
    case DType::bf16:
      return static_cast<double>(
          std::bit_cast<float>(static_cast<std::uint32_t>(tensor.data<Bf16>()->bits) << 16));
  }
  return 0;
}

template <class T>
Tensor from_values(std::span<const T> values, const Shape& shape, Device device) {
  TARN_CHECK_SHAPE(static_cast<std::int64_t>(values.size()) == shape.elements(),
                   "from_values: ", values.size(), " values for shape ", shape);
  Tensor out = Tensor::empty(shape, dtype_of<T>, device);
  if (!values.empty()) {
    copy_bytes(reinterpret_cast<const std::byte*>(values.data()), Device::cpu(), out.raw(), device,
               values.size_bytes());
  }
  return out;
}

template Tensor from_values<float>(std::span<const float>, const Shape&, Device);
template Tensor from_values<double>(std::span<const double>, const Shape&, Device);
template Tensor from_values<std::int32_t>(std::span<const std::int32_t>, const Shape&, Device);

}  // namespace tarn
