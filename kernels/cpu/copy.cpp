#include "kernels/copy.h"

#include <cstring>

#include "kernels/cpu/parallel.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

// The offset of element `index`, which counts in row-major order of the shape.
std::int64_t offset_of(std::int64_t index, const Shape& shape, const Shape& strides) {
  std::int64_t offset = 0;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    offset += index % shape[d] * strides[d];
    index /= shape[d];
  }
  return offset;
}

// Walks the rows of a chunk: row(from offset, to offset, length, from stride, to stride).
template <class Row>
void for_rows(const CopyArgs& args, const Row& row) {
  const Shape& shape = args.to.shape();
  const std::int64_t length = shape.rank() == 0 ? 1 : shape.back();
  if (length == 0) return;
  const std::int64_t from_stride = shape.rank() == 0 ? 1 : args.from.strides()[-1];
  const std::int64_t to_stride = shape.rank() == 0 ? 1 : args.to.strides()[-1];
  const std::int64_t rows = shape.elements() / length;
  constexpr std::int64_t kElements = 32768;
  parallel_chunks(rows, std::max<std::int64_t>(1, kElements / length),
                  [&](std::int64_t first, std::int64_t last) {
                    for (std::int64_t r = first; r < last; ++r) {
                      row(offset_of(r * length, shape, args.from.strides()),
                          offset_of(r * length, shape, args.to.strides()), length, from_stride,
                          to_stride);
                    }
                  });
}

template <class T>
void copy_elements(const CopyArgs& args) {
  const auto* from = reinterpret_cast<const T*>(args.from.raw());
  auto* to = reinterpret_cast<T*>(args.to.raw());
  for_rows(args, [&](std::int64_t from_offset, std::int64_t to_offset, std::int64_t length,
                     std::int64_t from_stride, std::int64_t to_stride) {
    if (from_stride == 1 && to_stride == 1) {
      std::memcpy(to + to_offset, from + from_offset, static_cast<std::size_t>(length) * sizeof(T));
      return;
    }
    for (std::int64_t i = 0; i < length; ++i) {
      to[to_offset + i * to_stride] = from[from_offset + i * from_stride];
    }
  });
}

template <class T>
void add_elements(const CopyArgs& args) {
  const T* from = args.from.data<T>();
  T* to = args.to.mutable_data<T>();
  const T beta = static_cast<T>(args.beta);
  for_rows(args, [&](std::int64_t from_offset, std::int64_t to_offset, std::int64_t length,
                     std::int64_t from_stride, std::int64_t to_stride) {
    for (std::int64_t i = 0; i < length; ++i) {
      T& element = to[to_offset + i * to_stride];
      element = beta * element + from[from_offset + i * from_stride];
    }
  });
}

}  // namespace

void copy(const CopyArgs& args) {
  if (args.beta != 0) {
    return with_float_type(args.to.dtype(), [&](auto zero) { add_elements<decltype(zero)>(args); });
  }
  with_type_of_size(args.to.dtype(), [&](auto zero) { copy_elements<decltype(zero)>(args); });
}

void fill(const FillArgs& args) {
  with_float_type(args.to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* to = args.to.mutable_data<T>();
    parallel_chunks(args.to.elements(), 65536, [&](std::int64_t first, std::int64_t last) {
      std::fill(to + first, to + last, static_cast<T>(args.value));
    });
  });
}

}  // namespace tarn::kernels::cpu
