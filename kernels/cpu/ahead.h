// Fetching rows of heads before they are read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/heads.h"

namespace tarn::kernels::cpu {

// Rows that a later tile will read. They are fetched into the second-level cache ahead of time,
// because the rows of a head lie too far apart for the processor's own prefetching.
struct Ahead {
  const std::byte* at = nullptr;
  std::int64_t stride = 0;  // in bytes
  std::int64_t lines = 0;   // cache lines a row; 0: nothing to fetch

  void fetch_row() {
    for (std::int64_t i = 0; i < lines; ++i) __builtin_prefetch(at + 64 * i, 0, 2);
    at += stride;
  }
};

// The rows, of several heads, to fetch while one tile is computed. Each pass of a block over the
// tile takes two entries.
class AheadQueue {
 public:
  // Adds the rows of a head from `first` on, if it has any.
  template <class T>
  void add(const Head<T>& head, std::int64_t first, std::int64_t length) {
    if (first < 0 || first >= length) return;
    constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
    queue_[count_++] = {reinterpret_cast<const std::byte*>(head.row(first)), head.stride * kSize,
                        (head.width * kSize + 63) / 64};
  }
  Ahead take() { return taken_ < count_ ? queue_[taken_++] : Ahead(); }

 private:
  Ahead queue_[8];
  int count_ = 0, taken_ = 0;
};

}  // namespace tarn::kernels::cpu
