#include "core/tensor.h"

#include <utility>

#include "core/allocator.h"

namespace tarn {

Storage::Storage(std::int64_t bytes, Device device)
    : bytes_(static_cast<std::byte*>(allocator(device).allocate(static_cast<std::size_t>(bytes)))),
      size_(bytes),
      device_(device) {}

// NOLINTNEXTLINE(bugprone-exception-escape): see the header.
Storage::~Storage() { allocator(device_).release(bytes_, static_cast<std::size_t>(size_)); }

namespace {

// Strides are products of sizes too, so an empty shape such as [0, 2^62, 2^62] is refused as well.
void check_sizes(const Shape& shape, DType dtype) {
  std::int64_t bytes = size_of(dtype);
  for (int d = 0; d < shape.rank(); ++d) {
    TARN_CHECK_SHAPE(shape[d] >= 0, "tensor: shape ", shape, " has a negative size");
    const std::int64_t factor = shape[d] > 0 ? shape[d] : 1;
    TARN_CHECK_SHAPE(!__builtin_mul_overflow(bytes, factor, &bytes), "tensor: shape ", shape,
                     " has more bytes than 64 bits can count");
  }
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  check_sizes(shape, dtype);
  Tensor tensor;
  tensor.shape_ = shape;
  tensor.strides_ = contiguous_strides(shape);
  tensor.dtype_ = dtype;
  tensor.storage_ = std::make_shared<Storage>(shape.elements() * size_of(dtype), device);
  return tensor;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor tensor = empty(shape, dtype, device);
  if (tensor.elements() > 0) {
    allocator(device).zero(tensor.raw(), static_cast<std::size_t>(tensor.bytes()));
  }
  return tensor;
}

Tensor Tensor::empty_like(const Tensor& other) {
  return empty(other.shape(), other.dtype(), other.device());
}

bool Tensor::is_contiguous() const {
  if (elements() == 0) return true;  // no element is out of place
  std::int64_t expected = 1;
  for (int d = rank() - 1; d >= 0; --d) {
    if (shape_[d] != 1 && strides_[d] != expected) return false;
    expected *= shape_[d];
  }
  return true;
}

Tensor Tensor::without_ones() const {
  Tensor out = *this;
  int kept = 0;
  for (int d = 0; d < rank(); ++d) {
    if (shape_[d] != 1) ++kept;
  }
  out.shape_ = out.strides_ = Shape::of_rank(kept, 0);
  for (int d = 0, to = 0; d < rank(); ++d) {
    if (shape_[d] == 1) continue;
    out.shape_[to] = shape_[d];
    out.strides_[to++] = strides_[d];
  }
  return out;
}

Tensor Tensor::view(const Shape& shape) const {
  check_sizes(shape, dtype_);
  TARN_CHECK_SHAPE(shape.elements() == elements(), "view: ", shape_, " cannot be seen as ", shape);
  Tensor out = *this;
  out.shape_ = shape;
  out.strides_ = contiguous_strides(shape);
  if (is_contiguous()) return out;

  // Match the dimensions in groups of equal size; inside a group the old ones must be contiguous.
  const Tensor old = without_ones();
  int from = 0;
  int to = 0;
  while (from < old.rank() && to < shape.rank()) {
    std::int64_t old_size = old.shape_[from];
    std::int64_t new_size = shape[to];
    int old_end = from + 1;
    int new_end = to + 1;
    while (old_size != new_size) {
      if (old_size < new_size) {
        old_size *= old.shape_[old_end++];
      } else {
        new_size *= shape[new_end++];
      }
    }
    for (int d = from; d + 1 < old_end; ++d) {
      TARN_CHECK_SHAPE(old.strides_[d] == old.strides_[d + 1] * old.shape_[d + 1], "view: ", shape_,
                       " with strides ", strides_, " cannot be seen as ", shape, " without a copy");
    }
    std::int64_t stride = old.strides_[old_end - 1];
    for (int d = new_end - 1; d >= to; --d) {
      out.strides_[d] = stride;
      stride *= shape[d];
    }
    from = old_end;
    to = new_end;
  }
  for (; to < shape.rank(); ++to) out.strides_[to] = 1;
  return out;
}

Tensor Tensor::transpose(int a, int b) const {
  Tensor out = *this;
  std::swap(out.shape_[a], out.shape_[b]);
  std::swap(out.strides_[a], out.strides_[b]);
  out.slot.index = 0;
  return out;
}

Tensor Tensor::slice(int dim, std::int64_t first, std::int64_t count) const {
  TARN_CHECK_SHAPE(first >= 0 && count >= 0 && first <= shape_[dim] && count <= shape_[dim] - first,
                   "slice: ", count, " from ", first, " of dimension ", dim, " of ", shape_);
  Tensor out = *this;
  if (elements() > 0) out.offset_ += first * strides_[dim];  // an empty one may have no storage
  out.shape_[dim] = count;
  out.slot.index = 0;
  return out;
}

Tensor Tensor::select(int dim, std::int64_t index) const {
  const Tensor row = slice(dim, index, 1);
  const int dropped = dim < 0 ? dim + rank() : dim;
  Tensor out = row;
  out.shape_ = Shape::of_rank(rank() - 1, 0);
  out.strides_ = out.shape_;
  for (int d = 0, to = 0; d < rank(); ++d) {
    if (d == dropped) continue;
    out.shape_[to] = row.shape_[d];
    out.strides_[to++] = row.strides_[d];
  }
  return out;
}

Tensor Tensor::expand(const Shape& shape) const {
  TARN_CHECK_SHAPE(shape.rank() == rank(), "expand: ", shape_, " and ", shape,
                   " must have the same rank");
  Tensor out = *this;
  for (int d = 0; d < rank(); ++d) {
    if (shape[d] == shape_[d]) continue;
    TARN_CHECK_SHAPE(shape_[d] == 1, "expand: dimension ", d, " of ", shape_,
                     " is not 1; expected ", shape);
    out.shape_[d] = shape[d];
    out.strides_[d] = 0;
  }
  out.slot.index = 0;
  return out;
}

Tensor Tensor::detach() const {
  Tensor out = *this;
  out.slot = {};
  return out;
}

std::string Tensor::str() const {
  return defined() ? message(name_of(dtype_), " ", shape_) : "undefined";
}

void Tensor::check_dtype(DType expected) const {
  TARN_CHECK(defined(), "an undefined tensor has no elements");
  TARN_CHECK_AS(DTypeError, expected == dtype_, "a tensor of ", name_of(dtype_), " ", shape_,
                " was read as ", name_of(expected));
}

}  // namespace tarn
