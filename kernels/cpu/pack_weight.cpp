#include "kernels/common/bf16.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dtype_switch.h"
#include "kernels/encoder_step.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

// Inputs come in groups of `group` that lie side by side for each output.
template <class T, class Stored, class Convert>
void pack(const PackWeightArgs& args, std::int64_t group, const Convert& convert) {
  const std::int64_t out = args.weight.size(0), in = args.weight.size(1);
  const std::int64_t padded_in = (in + group - 1) / group * group;
  const T* weight = args.weight.data<T>();
  Stored* panels = args.panels.mutable_data<Stored>();
  parallel_for(args.panels.size(0), [&](std::int64_t p) {
    Stored* to = panels + p * padded_in * kPanelColumns;
    for (std::int64_t k = 0; k < padded_in; ++k) {
      for (std::int64_t c = 0; c < kPanelColumns; ++c) {
        const std::int64_t o = p * kPanelColumns + c;
        const T value = o < out && k < in ? weight[o * in + k] : T{0};
        to[(k / group * kPanelColumns + c) * group + k % group] = convert(value);
      }
    }
  });
}

}  // namespace

void pack_weight(const PackWeightArgs& args) {
  const auto same = [](auto value) { return value; };
  if (args.panels.dtype() == DType::bf16) {
    pack<float, Bf16>(args, 2, rounded_to_bf16);
  } else {
    with_float_type(args.weight.dtype(), [&](auto zero) {
      using T = decltype(zero);
      pack<T, T>(args, 1, same);
    });
  }
}

}  // namespace tarn::kernels::cpu
