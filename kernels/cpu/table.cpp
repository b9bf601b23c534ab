#include "kernels/table.h"

#include <cblas.h>

namespace tarn::kernels {
namespace cpu {

// A line of the list without its functions does not link.
#define TARN_KERNEL(name, Args) void name(const Args& args);
#define TARN_KERNEL_WITH_SCRATCH(name, Args)    \
  void name(const Args& args, Scratch scratch); \
  std::int64_t name##_scratch_bytes(const Args& args);
#include "kernels/kernels.def"

}  // namespace cpu

const Table& cpu_table() {
  // Not const, so that a test which counts the calls of kernels can put its functions in.
  static Table table = [] {
    openblas_set_num_threads(1);  // blas.h says why
    Table t;
#define TARN_KERNEL(name, Args) \
  t.name.fn = [](const Args& args, Scratch /*none*/) { cpu::name(args); };
#define TARN_KERNEL_WITH_SCRATCH(name, Args) \
  t.name.fn = cpu::name;                     \
  t.name.scratch_bytes = cpu::name##_scratch_bytes;
#include "kernels/kernels.def"
    return t;
  }();
  return table;
}

}  // namespace tarn::kernels
