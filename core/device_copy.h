// Elements on their way to a device beside what it computes.
#pragma once

#include "core/transfer.h"

namespace tarn {

// A copy of a tensor of the CPU that a device makes while it works on what it is asked for next. It
// begins when what was asked for before is done, so ask early. Where there is no such device, it is
// the tensor itself.
class DeviceCopy {
 public:
  DeviceCopy() = default;
  DeviceCopy(const Tensor& tensor, Device device);  // contiguous, on the CPU

  // The copy, for what is asked for from now on.
  const Tensor& tensor();

 private:
  Tensor tensor_;
  std::unique_ptr<SideCopy> copy_;
};

}  // namespace tarn
