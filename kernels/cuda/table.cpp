// The kernels that CUDA devices have. What is not named here is refused by run() with its name.
#include "kernels/table.h"

#include "core/cuda/runtime.h"

namespace tarn::kernels {
namespace cuda {

#define TARN_CUDA_KERNEL(name, Args) void name(const Args& args, Scratch scratch);
#define TARN_CUDA_KERNEL_WITH_SCRATCH(name, Args) \
  TARN_CUDA_KERNEL(name, Args)                    \
  std::int64_t name##_scratch_bytes(const Args& args);
#include "kernels/cuda/kernels.def"

void set_device(std::int32_t index) {
  tarn::cuda::check(cudaSetDevice(index), "cudaSetDevice", index);
}

}  // namespace cuda

const Table& cuda_table() {
  static const Table table = [] {
    Table t;
    t.set_device = cuda::set_device;
#define TARN_CUDA_KERNEL(name, Args) t.name.fn = cuda::name;
#define TARN_CUDA_KERNEL_WITH_SCRATCH(name, Args) \
  TARN_CUDA_KERNEL(name, Args)                    \
  t.name.scratch_bytes = cuda::name##_scratch_bytes;
#include "kernels/cuda/kernels.def"
    return t;
  }();
  return table;
}

}  // namespace tarn::kernels
