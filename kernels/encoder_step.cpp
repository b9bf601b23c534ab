#include "kernels/encoder_step.h"

namespace tarn::kernels {

Shape packed_shape(std::int64_t out, std::int64_t in, DType storage) {
  const std::int64_t panels = (out + kPanelColumns - 1) / kPanelColumns;
  if (storage == DType::bf16) return {panels, (in + 1) / 2, kPanelColumns, 2};
  return {panels, in, kPanelColumns};
}

}  // namespace tarn::kernels
