// Working memory of one thread inside a kernel: tiles and states that fit a cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tarn::kernels::cpu {

// At least this many bytes, 64-byte aligned, not initialised; the same block at each call on a
// thread, which grows it to the largest ever asked for. A second call invalidates the first.
std::byte* thread_scratch_bytes(std::size_t bytes);

template <class T>
T* thread_scratch(std::int64_t elements) {
  return reinterpret_cast<T*>(thread_scratch_bytes(static_cast<std::size_t>(elements) * sizeof(T)));
}

// Cuts a thread's scratch into zero-initialised and plain parts.
template <class T>
class Carver {
 public:
  explicit Carver(T* at) : at_(at) {}
  // How many elements a part takes up: rounded up, so that the next part is aligned too.
  static std::int64_t size(std::int64_t elements) { return (elements + 15) / 16 * 16; }
  T* take(std::int64_t elements) {
    T* part = at_;
    at_ += size(elements);
    return part;
  }
  T* take_zeros(std::int64_t elements) {
    T* part = take(elements);
    std::fill(part, part + elements, T{0});
    return part;
  }

 private:
  T* at_;
};

}  // namespace tarn::kernels::cpu
