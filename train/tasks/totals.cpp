#include "train/tasks/totals.h"

#include "core/transfer.h"
#include "kernels/copy.h"
#include "kernels/table.h"

namespace tarn::train {

void TotalsSum::add(const Tensor& totals) {
  kernels::run(&kernels::Table::copy, sum_.device(), {.from = totals, .to = sum_, .beta = 1});
}

std::vector<double> TotalsSum::totals() const {
  HostCopy copy(sum_);
  const std::span<const double> values = copy.wait<double>();
  return {values.begin(), values.end()};
}

}  // namespace tarn::train
