#include "train/tasks/totals.h"

#include <cstring>

#include "core/transfer.h"
#include "kernels/copy.h"
#include "kernels/table.h"
#include "train/run/shared_work.h"
#include "train/run/signals.h"

namespace tarn::train {

void TotalsSum::add(const Tensor& totals) {
  kernels::run(&kernels::Table::copy, sum_.device(), {.from = totals, .to = sum_, .beta = 1});
}

std::vector<double> TotalsSum::totals() const {
  HostCopy copy(sum_);
  const std::span<const double> values = copy.wait<double>();
  return {values.begin(), values.end()};
}

std::vector<double> sum_over_batches(std::int64_t batches, std::int64_t count, Device device,
                                     Communicator& ranks,
                                     const std::function<Tensor(std::int64_t)>& totals_of) {
  TotalsSum sum(count, device);
  if (ranks.alone()) {  // which does not wait for the device between two batches
    for (std::int64_t i = 0; i < batches; ++i) {
      stop_if_signalled();
      sum.add(totals_of(i));
    }
    return sum.totals();
  }
  share_work(
      batches, ranks,
      [&](std::int64_t i) {
        HostCopy copy(totals_of(i));
        const std::span<const double> values = copy.wait<double>();
        return std::string(reinterpret_cast<const char*>(values.data()), values.size_bytes());
      },
      [&](std::int64_t, const std::string& bytes) {
        std::vector<double> values(static_cast<std::size_t>(count));
        std::memcpy(values.data(), bytes.data(), bytes.size());
        sum.add(from_values<double>(values, {count}, device));
      });
  ranks.broadcast(sum.tensor());
  return sum.totals();
}

}  // namespace tarn::train
