// The sizes (or the strides) of a tensor: up to six dimensions, stored inline.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace tarn {

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;  // rank 0: a scalar, one element
  Shape(std::initializer_list<std::int64_t> sizes);
  static Shape of_rank(int rank, std::int64_t fill);

  int rank() const { return rank_; }
  // dim may be negative: -1 is the last dimension. Throws ShapeError when out of range.
  std::int64_t operator[](int dim) const { return sizes_[index(dim)]; }
  std::int64_t& operator[](int dim) { return sizes_[index(dim)]; }
  std::int64_t back() const { return (*this)[-1]; }
  std::int64_t elements() const;  // the product; 1 for a scalar

  // The shape without its last dimension, and with one more.
  Shape without_last() const;
  Shape with(std::int64_t last) const;

  std::string str() const;  // "[8, 784, 8, 32]"
  friend bool operator==(const Shape& a, const Shape& b);

 private:
  std::size_t index(int dim) const;

  std::array<std::int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
};

// Strides, in elements, of a row-major tensor without gaps.
Shape contiguous_strides(const Shape& shape);

}  // namespace tarn
