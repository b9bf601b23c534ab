#include "autograd/sample.h"

#include <cmath>

#include "autograd/check.h"
#include "kernels/sample.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

void check_sample(const char* op, const Tensor& outputs, const SampleOptions& options) {
  const Argument argument{"outputs", outputs};
  const Check check(op);
  check.floats({argument});
  check.rank(argument, 2, "[N, outputs]");
  check.widths(argument);
  check.contiguous({argument});
  if (options.device_step.defined()) {
    check.integers({"device_step", options.device_step}, {1}, outputs.device());
  }
  TARN_CHECK(std::isfinite(options.temperature) && options.temperature >= 0, op,
             ": the temperature is ", options.temperature, "; it must be finite and at least 0");
}

Tensor values_like(const Tensor& outputs) {
  return Tensor::empty({outputs.size(0)}, DType::i32, outputs.device());
}

}  // namespace

Tensor sample_logistic_mixture(const Tensor& outputs, LogisticScale scale,
                               const SampleOptions& options) {
  check_sample("sample_logistic_mixture", outputs, options);
  TARN_CHECK_SHAPE(outputs.size(1) % 3 == 0, "sample_logistic_mixture: outputs ", outputs.shape(),
                   " must be [N, 3 K], K logits, K means and K log-scales");
  Tensor values = values_like(outputs);
  kernels::run(&Table::sample_logistic_mixture, outputs.device(),
               {.outputs = outputs,
                .values = values,
                .temperature = options.temperature,
                .compat = scale == LogisticScale::compat,
                .address = options.address,
                .device_step = options.device_step,
                .first = options.first});
  return values;
}

Tensor sample_categorical(const Tensor& logits, const SampleOptions& options) {
  check_sample("sample_categorical", logits, options);
  Tensor values = values_like(logits);
  kernels::run(&Table::sample_categorical, logits.device(),
               {.logits = logits,
                .values = values,
                .temperature = options.temperature,
                .address = options.address,
                .device_step = options.device_step,
                .first = options.first});
  return values;
}

}  // namespace tarn::ad
