#include "core/device_copy.h"

namespace tarn {

DeviceCopy::DeviceCopy(const Tensor& tensor, Device device) {
  TARN_CHECK_SHAPE(tensor.device() == Device::cpu() && tensor.is_contiguous(),
                   "DeviceCopy: ", tensor.str(), " is not contiguous, or not on the CPU");
  if (device == Device::cpu()) {
    tensor_ = tensor;
    return;
  }
  tensor_ = Tensor::empty(tensor.shape(), tensor.dtype(), device);
  if (tensor.elements() == 0) return;
  copy_ = runtime_of(device).copy_in_beside(device.index, tensor_.raw(), tensor.raw(),
                                            static_cast<std::size_t>(tensor.bytes()));
}

const Tensor& DeviceCopy::tensor() {
  if (copy_ != nullptr) copy_->join();
  return tensor_;
}

}  // namespace tarn
