#include "tests/support/kernel_calls.h"

#include "core/rng.h"
#include "tests/support/op_cases.h"
#include "tests/support/random_tensor.h"

namespace tarn::test {

Tensor uniform_tensor(const Shape& shape, DType dtype, std::string_view name) {
  Tensor tensor = Tensor::empty(shape, dtype, Device::cpu());
  const RngAddress address{1, site_of(name), 0};
  detail::with_type(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* at = tensor.mutable_data<T>();
    for (std::int64_t i = 0; i < tensor.elements(); ++i) {
      at[i] = static_cast<T>(2 * random_uniform(address, static_cast<std::uint64_t>(i)) - 1);
    }
  });
  return tensor;
}

const std::vector<KernelCall>& kernel_calls() {
  static const std::vector<KernelCall> calls = [] {
    std::vector<KernelCall> all = layer_calls();
    for (const auto& part :
         {update_calls(), attention_calls(), sampling_calls(), recurrent_calls(), ctc_calls()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    for (const OpCase& c : op_cases()) {
      if (!c.large) continue;
      all.push_back(
          {c.op, c.variant, [&c](DType dtype) { return run_forward_backward(c, dtype); }});
    }
    return all;
  }();
  return calls;
}

}  // namespace tarn::test
