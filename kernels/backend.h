// What computes in this process, for `tarn info` and the records of a run.
#pragma once

#include <cstdint>
#include <string>

namespace tarn::kernels {

struct CpuBackend {
  std::string processor;        // "AMD EPYC 9R45"
  std::string instruction_set;  // what the kernels use: "AVX2"
  std::string blas;             // "OpenBLAS 0.3.21"
  std::string blas_core;        // the kernels that OpenBLAS chose: "Zen"
  std::int64_t threads = 1;     // of the pool
  std::string advice;           // what to do when a faster choice was possible; else empty
};
CpuBackend cpu_backend();

// The size of the CPU kernels' thread pool from now on; 0 leaves it to OpenMP. It changes no bit of
// any result.
void set_cpu_threads(std::int64_t threads);

}  // namespace tarn::kernels
