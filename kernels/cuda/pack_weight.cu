#include "kernels/common/bf16.h"
#include "kernels/cuda/gpu.h"
#include "kernels/dtype_switch.h"
#include "kernels/encoder_step.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

struct RoundToBf16 {
  __device__ Bf16 operator()(float x) const { return rounded_to_bf16(x); }
};
struct Same {
  template <class T>
  __device__ T operator()(T x) const {
    return x;
  }
};

// A thread makes one element of the panels; `group` inputs lie side by side for each output.
template <class T, class Stored, class Convert>
__global__ void pack_elements(const T* weight, Stored* panels, Convert convert, std::int64_t out,
                              std::int64_t in, std::int64_t group, std::int64_t groups,
                              std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    const std::int64_t column = i / group % kPanelColumns, block = i / group / kPanelColumns;
    const std::int64_t output = block / groups * kPanelColumns + column;
    const std::int64_t input = block % groups * group + i % group;
    panels[i] = convert(output < out && input < in ? weight[output * in + input] : T(0));
  }
}

void pack_weight(const PackWeightArgs& args, Scratch /*none*/) {
  const std::int64_t n = args.panels.elements();
  if (n == 0) return;
  const std::int64_t out = args.weight.size(0), in = args.weight.size(1);
  const Device device = args.panels.device();
  if (args.panels.dtype() == DType::bf16) {
    TARN_LAUNCH((pack_elements<float, Bf16, RoundToBf16>), blocks_for(n), kThreads, 0, device,
                args.weight.data<float>(), args.panels.mutable_data<Bf16>(), RoundToBf16{}, out, in,
                std::int64_t{2}, (in + 1) / 2, n);
    return;
  }
  with_float_type(args.weight.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((pack_elements<T, T, Same>), blocks_for(n), kThreads, 0, device,
                args.weight.data<T>(), args.panels.mutable_data<T>(), Same{}, out, in,
                std::int64_t{1}, in, n);
  });
}

}  // namespace tarn::kernels::cuda
