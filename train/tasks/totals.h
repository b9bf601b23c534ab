// The totals of several forward passes, added where they are.
#pragma once

#include <functional>
#include <vector>

#include "core/tensor.h"
#include "train/distributed/communicator.h"

namespace tarn::train {

class TotalsSum {
 public:
  TotalsSum(std::int64_t count, Device device) : sum_(Tensor::zeros({count}, DType::f64, device)) {}

  void add(const Tensor& totals);  // f64 [count]; does not wait for the device
  const Tensor& tensor() const { return sum_; }
  std::vector<double> totals() const;

 private:
  Tensor sum_;
};

// The sum, in every process, of the totals of batches 0 .. batches - 1, f64 [count] each, which are
// computed by one process each and added in the order of the batches: the same bits for any number
// of processes. To be called by all. Throws Interrupted between two batches once a signal was
// noted.
std::vector<double> sum_over_batches(std::int64_t batches, std::int64_t count, Device device,
                                     Communicator& ranks,
                                     const std::function<Tensor(std::int64_t)>& totals_of);

}  // namespace tarn::train
