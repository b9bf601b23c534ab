// The parts in which gradients are exchanged.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tarn::train {

// From the end of a gradient, which is complete first, to its beginning. They depend on its size
// alone, so that all processes have the same.
class Buckets {
 public:
  static Buckets of(std::int64_t elements) { return {elements, size_for(elements)}; }
  static Buckets one(std::int64_t elements) { return {elements, elements}; }

  bool done() const { return end_ == 0; }
  // The elements of the present one.
  std::int64_t first() const { return std::max<std::int64_t>(0, end_ - size_); }
  std::int64_t count() const { return end_ - first(); }
  void next() { end_ = first(); }

 private:
  Buckets(std::int64_t end, std::int64_t size) : end_(end), size_(size) {}

  // Few enough that most of a small gradient is on its way early too, and enough that a message
  // takes longer than its start.
  static std::int64_t size_for(std::int64_t elements) {
    constexpr std::int64_t kBuckets = 8, kMost = 1 << 18, kAlign = 64;
    const std::int64_t share = (elements + kBuckets - 1) / kBuckets;
    return std::min(kMost, (share + kAlign - 1) / kAlign * kAlign);
  }

  std::int64_t end_, size_;
};

}  // namespace tarn::train
