#include "kernels/dropout.h"

#include "kernels/dtype_switch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dropout.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
//
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {

template <class T>
void drop(const DropoutArgs& args, std::int64_t first, std::int64_t last) {
  const T* x = args.x.data<T>();
  T* out = args.out.mutable_data<T>();
  const T beta = static_cast<T>(args.beta);
  const T scale = static_cast<T>(1 / (1 - args.probability));
  const std::uint32_t threshold = random_threshold(args.probability);
  constexpr std::int64_t kPiece = 512;
  HWY_ALIGN T piece[kPiece];
  for (std::int64_t i = first; i < last; i += kPiece) {
    const std::int64_t n = std::min(kPiece, last - i);
    std::copy(x + i, x + i + n, piece);
    dropout_row(args.address, i, n, threshold, scale, piece);
    for (std::int64_t j = 0; j < n; ++j) {
      out[i + j] = beta == 0 ? piece[j] : beta * out[i + j] + piece[j];
    }
  }
}

void Dropout(const DropoutArgs& args, std::int64_t first, std::int64_t last) {
  with_float_type(args.x.dtype(), [&](auto zero) { drop<decltype(zero)>(args, first, last); });
}

}  // namespace
}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rows.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(Dropout);

}  // namespace

void dropout(const DropoutArgs& args) {
  parallel_chunks(args.x.elements(), kChunkElements, [&](std::int64_t first, std::int64_t last) {
    HWY_DYNAMIC_DISPATCH(Dropout)(args, first, last);
  });
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
