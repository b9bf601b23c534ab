// Runs a test with a number of threads.
#pragma once

#include "kernels/backend.h"

namespace tarn::test {

// The kernels use so many threads while one of these lives.
class UseThreads {
 public:
  explicit UseThreads(std::int64_t threads) { kernels::set_cpu_threads(threads); }
  ~UseThreads() { kernels::set_cpu_threads(before_); }
  UseThreads(const UseThreads&) = delete;
  UseThreads& operator=(const UseThreads&) = delete;

 private:
  std::int64_t before_ = kernels::cpu_backend().threads;
};

}  // namespace tarn::test
