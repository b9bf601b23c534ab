#include "kernels/table.h"

#include <cblas.h>

#include "core/check.h"

namespace tarn::kernels {

#define TARN_KERNEL(name, Args) void name(const Args& args);
#include "kernels/kernels.def"
#undef TARN_KERNEL

const Table& table(DeviceKind kind) {
  TARN_CHECK_AS(DeviceError, kind == DeviceKind::cpu, "this build of tarn has no kernels for ",
                name_of(kind));
  static const Table cpu = [] {
    openblas_set_num_threads(1);  // blas.h says why
    Table t;
#define TARN_KERNEL(name, Args) t.name.fn = name;  // a line without a CPU kernel does not link
#include "kernels/kernels.def"
#undef TARN_KERNEL
    return t;
  }();
  return cpu;
}

}  // namespace tarn::kernels
