#include "kernels/table.h"

namespace tarn::kernels {

const Table& table(DeviceKind kind) {
  TARN_CHECK_AS(DeviceError, kind == DeviceKind::cpu, "this build of tarn has no kernels for ",
                name_of(kind));
  return cpu_table();
}

}  // namespace tarn::kernels
