#include "core/shape.h"

#include "core/check.h"

namespace tarn {

Shape::Shape(std::initializer_list<std::int64_t> sizes) {
  TARN_CHECK_SHAPE(sizes.size() <= kMaxRank, "a tensor has at most ", kMaxRank, " dimensions, not ",
                   sizes.size());
  for (const std::int64_t size : sizes) sizes_[static_cast<std::size_t>(rank_++)] = size;
}

Shape Shape::of_rank(int rank, std::int64_t fill) {
  TARN_CHECK_SHAPE(rank >= 0 && rank <= kMaxRank, "a tensor has at most ", kMaxRank,
                   " dimensions, not ", rank);
  Shape shape;
  shape.rank_ = rank;
  for (int d = 0; d < rank; ++d) shape.sizes_[static_cast<std::size_t>(d)] = fill;
  return shape;
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (int d = 0; d < rank_; ++d) product *= sizes_[static_cast<std::size_t>(d)];
  return product;
}

Shape Shape::without_last() const {
  TARN_CHECK_SHAPE(rank_ > 0, "a scalar has no last dimension");
  Shape shape = *this;
  shape.sizes_[static_cast<std::size_t>(--shape.rank_)] = 0;
  return shape;
}

Shape Shape::with(std::int64_t last) const {
  Shape shape = of_rank(rank_ + 1, last);
  for (int d = 0; d < rank_; ++d) shape[d] = (*this)[d];
  return shape;
}

std::string Shape::str() const {
  std::string out = "[";
  for (int d = 0; d < rank_; ++d) {
    if (d > 0) out += ", ";
    out += std::to_string((*this)[d]);
  }
  return out + "]";
}

bool operator==(const Shape& a, const Shape& b) {
  return a.rank_ == b.rank_ && a.sizes_ == b.sizes_;
}

std::size_t Shape::index(int dim) const {
  const int d = dim < 0 ? dim + rank_ : dim;
  TARN_CHECK_SHAPE(d >= 0 && d < rank_, "dimension ", dim, " of a shape of rank ", rank_);
  return static_cast<std::size_t>(d);
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides = Shape::of_rank(shape.rank(), 1);
  for (int d = shape.rank() - 2; d >= 0; --d) strides[d] = strides[d + 1] * shape[d + 1];
  return strides;
}

}  // namespace tarn
