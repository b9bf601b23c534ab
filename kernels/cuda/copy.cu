#include "kernels/copy.h"
#include "kernels/cuda/gpu.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

template <class T>
__global__ void copy_elements(const T* from, Layout from_layout, T* to, Layout to_layout,
                              std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    to[offset_of(to_layout, i)] = from[offset_of(from_layout, i)];
  }
}

template <class T>
__global__ void add_elements(const T* from, Layout from_layout, T* to, Layout to_layout, T beta,
                             std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    T& element = to[offset_of(to_layout, i)];
    element = beta * element + from[offset_of(from_layout, i)];
  }
}

template <class T>
__global__ void fill_elements(T* to, T value, std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) to[i] = value;
}

void copy(const CopyArgs& args, Scratch /*none*/) {
  const Shape& shape = args.to.shape();
  const std::int64_t n = shape.elements();
  if (n == 0) return;
  if (args.beta != 0) {
    return with_float_type(args.to.dtype(), [&](auto zero) {
      using T = decltype(zero);
      TARN_LAUNCH((add_elements<T>), blocks_for(n), kThreads, 0, args.to.device(),
                  args.from.data<T>(), Layout(shape, args.from.strides()),
                  args.to.mutable_data<T>(), Layout(shape, args.to.strides()), args.beta, n);
    });
  }
  with_type_of_size(args.to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((copy_elements<T>), blocks_for(n), kThreads, 0, args.to.device(),
                reinterpret_cast<const T*>(args.from.raw()), Layout(shape, args.from.strides()),
                reinterpret_cast<T*>(args.to.raw()), Layout(shape, args.to.strides()), n);
  });
}

void fill(const FillArgs& args, Scratch /*none*/) {
  const std::int64_t n = args.to.elements();
  if (n == 0) return;
  with_float_type(args.to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((fill_elements<T>), blocks_for(n), kThreads, 0, args.to.device(),
                args.to.mutable_data<T>(), args.value, n);
  });
}

}  // namespace tarn::kernels::cuda
