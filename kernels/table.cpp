#include "kernels/table.h"

namespace tarn::kernels {

const Table& table(DeviceKind kind) {
  if (kind == DeviceKind::cpu) return cpu_table();
#if defined(TARN_CUDA)
  return cuda_table();
#else
  fail<DeviceError>("this build of tarn has no kernels for ", name_of(kind), " (TARN_CUDA=OFF)");
#endif
}

}  // namespace tarn::kernels
