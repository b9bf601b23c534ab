#include "kernels/cuda/dropout.h"
#include "kernels/dropout.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

// A thread takes a block of the stream, which is four elements.
template <class T>
__global__ void dropout_elements(const T* x, T* out, Dropout<T> dropout, T beta, std::int64_t n) {
  for (std::int64_t block = first_element(); 4 * block < n; block += all_threads()) {
    const auto bits = random_block(dropout.address, static_cast<std::uint64_t>(block));
    for (std::int64_t j = 0; j < 4 && 4 * block + j < n; ++j) {
      const std::int64_t i = 4 * block + j;
      const T factor = dropout.factor(bits[static_cast<std::size_t>(j)]);
      const T kept = factor == T(0) ? T(0) : x[i] * factor;
      out[i] = beta == T(0) ? kept : beta * out[i] + kept;
    }
  }
}

void dropout(const DropoutArgs& args, Scratch /*none*/) {
  const std::int64_t n = args.x.elements();
  if (n == 0) return;
  with_float_type(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((dropout_elements<T>), blocks_for((n + 3) / 4), kThreads, 0, args.out.device(),
                args.x.data<T>(), args.out.mutable_data<T>(),
                Dropout<T>(args.address, args.probability), args.beta, n);
  });
}

}  // namespace tarn::kernels::cuda
