#include "kernels/unary.h"

#include "kernels/dtype_switch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/unary.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
//
#include "kernels/cpu/rows.h"
#include "kernels/cpu/unary-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {

template <class T>
void forward(const UnaryForwardArgs& args, const Rows& x_rows, std::int64_t first,
             std::int64_t last) {
  const T* x = args.x.data<T>();
  T* out = args.out.mutable_data<T>();
  const std::int64_t width = x_rows.width();
  for (std::int64_t r = first; r < last; ++r) {
    unary_row(args.op, x + x_rows.offset(r), out + r * width, width);
  }
}

template <class T>
void backward(const UnaryBackwardArgs& args, std::int64_t first, std::int64_t last) {
  const T* saved = args.saved.data<T>();
  const T* grad_out = args.grad_out.data<T>();
  T* grad_x = args.grad_x.mutable_data<T>();
  const T beta = static_cast<T>(args.beta);
  constexpr std::int64_t kPiece = 512;
  HWY_ALIGN T piece[kPiece];
  for (std::int64_t i = first; i < last; i += kPiece) {
    const std::int64_t n = std::min(kPiece, last - i);
    std::copy(grad_out + i, grad_out + i + n, piece);
    unary_backward_row(args.op, saved + i, piece, n);
    for (std::int64_t j = 0; j < n; ++j) {
      grad_x[i + j] = beta == 0 ? piece[j] : beta * grad_x[i + j] + piece[j];
    }
  }
}

void UnaryForward(const UnaryForwardArgs& args, const Rows& x_rows, std::int64_t first,
                  std::int64_t last) {
  with_float_type(args.x.dtype(),
                  [&](auto zero) { forward<decltype(zero)>(args, x_rows, first, last); });
}

void UnaryBackward(const UnaryBackwardArgs& args, std::int64_t first, std::int64_t last) {
  with_float_type(args.grad_out.dtype(),
                  [&](auto zero) { backward<decltype(zero)>(args, first, last); });
}

}  // namespace
}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/parallel.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(UnaryForward);
HWY_EXPORT(UnaryBackward);

}  // namespace

void unary_forward(const UnaryForwardArgs& args) {
  const Rows rows(args.x);
  parallel_chunks(rows.count(), rows_per_chunk(rows.width()),
                  [&](std::int64_t first, std::int64_t last) {
                    HWY_DYNAMIC_DISPATCH(UnaryForward)(args, rows, first, last);
                  });
}

void unary_backward(const UnaryBackwardArgs& args) {
  parallel_chunks(args.grad_out.elements(), kChunkElements,
                  [&](std::int64_t first, std::int64_t last) {
                    HWY_DYNAMIC_DISPATCH(UnaryBackward)(args, first, last);
                  });
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
