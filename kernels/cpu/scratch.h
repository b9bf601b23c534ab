// Working memory of one thread inside a kernel: tiles and states that fit a cache.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tarn::kernels {

// At least this many bytes, 64-byte aligned, not initialised; the same block at each call on a
// thread, which grows it to the largest ever asked for. A second call invalidates the first.
std::byte* thread_scratch_bytes(std::size_t bytes);

template <class T>
T* thread_scratch(std::int64_t elements) {
  return reinterpret_cast<T*>(thread_scratch_bytes(static_cast<std::size_t>(elements) * sizeof(T)));
}

}  // namespace tarn::kernels
