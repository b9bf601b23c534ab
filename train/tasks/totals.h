// The totals of several forward passes, added where they are.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace tarn::train {

class TotalsSum {
 public:
  TotalsSum(std::int64_t count, Device device) : sum_(Tensor::zeros({count}, DType::f64, device)) {}

  void add(const Tensor& totals);  // f64 [count]; does not wait for the device
  std::vector<double> totals() const;

 private:
  Tensor sum_;
};

}  // namespace tarn::train
