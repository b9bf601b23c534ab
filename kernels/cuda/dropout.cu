#include "kernels/cuda/gpu.h"
#include "kernels/dropout.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

// A thread takes a block of the stream, which is four elements.
template <class T>
__global__ void dropout_elements(const T* x, T* out, RngAddress address, std::uint32_t threshold,
                                 T scale, T beta, std::int64_t n) {
  for (std::int64_t block = first_element(); 4 * block < n; block += all_threads()) {
    const auto bits = random_block(address, static_cast<std::uint64_t>(block));
    for (std::int64_t j = 0; j < 4 && 4 * block + j < n; ++j) {
      const std::int64_t i = 4 * block + j;
      const T kept = bits[static_cast<std::size_t>(j)] >= threshold ? x[i] * scale : T(0);
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
                args.x.data<T>(), args.out.mutable_data<T>(), args.address,
                random_threshold(args.probability), 1 / (1 - args.probability), args.beta, n);
  });
}

}  // namespace tarn::kernels::cuda
