// The one way CPU kernels use threads. Work is cut into pieces by the shapes alone, never by the
// number of threads, and each piece writes its own outputs: so the bits are the same for any
// number.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace tarn::kernels {

// The threads of the pool: for cuts that change no bit, and for nothing else.
inline std::int64_t pool_size() { return omp_get_max_threads(); }

// Calls body(i) for i in [0, count) on the pool. The body must not throw.
template <class Body>
void parallel_for(std::int64_t count, const Body& body) {
  if (count == 1) return body(std::int64_t{0});
#pragma omp parallel for schedule(dynamic, 1)
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

// Calls body(first, last) for consecutive chunks that cover [0, count).
template <class Body>
void parallel_chunks(std::int64_t count, std::int64_t chunk, const Body& body) {
  parallel_for((count + chunk - 1) / chunk,
               [&](std::int64_t i) { body(i * chunk, std::min(count, (i + 1) * chunk)); });
}

}  // namespace tarn::kernels
