// Calls of the kernels that draw values.
#include "kernels/sample.h"
#include "kernels/table.h"
#include "tests/support/kernel_calls.h"

namespace tarn::test {
namespace {

using kernels::run;
using kernels::Table;
using Outputs = std::vector<Tensor>;

const Device kCpu = Device::cpu();
const RngAddress kAddress{7, site_of("sampling_calls"), 3};

Outputs sample_logistic_mixture(DType dtype, bool compat) {
  const Tensor values = Tensor::empty({1000}, DType::i32, kCpu);
  run(&Table::sample_logistic_mixture, kCpu,
      {.outputs = uniform_tensor({1000, 30}, dtype, "outputs"),
       .values = values,
       .temperature = 0.9,
       .compat = compat,
       .address = kAddress,
       .first = 5});
  return {values};
}

Outputs sample_categorical(DType dtype) {
  const Tensor values = Tensor::empty({1000}, DType::i32, kCpu);
  run(&Table::sample_categorical, kCpu,
      {.logits = uniform_tensor({1000, 256}, dtype, "logits"),
       .values = values,
       .address = kAddress});
  return {values};
}

}  // namespace

std::vector<KernelCall> sampling_calls() {
  using D = DType;
  return {
      {"sample_logistic_mixture", "", [](D d) { return sample_logistic_mixture(d, false); }},
      {"sample_logistic_mixture", "compat", [](D d) { return sample_logistic_mixture(d, true); }},
      {"sample_categorical", "", sample_categorical},
  };
}

}  // namespace tarn::test
