// OpenBLAS for one thread: tarn cuts products itself (parallel.h), since OpenBLAS's own threads
// give other bits for other numbers of threads, and compete with the pool's.
#pragma once

#include <cblas.h>

#include <cstdint>

namespace tarn::kernels::cpu {

// out = alpha * op(a) op(b) + beta * out, row-major; out is [rows, columns], ld* are row strides.
// Runs on the calling thread. With beta 0, out is not read.
inline void blas_gemm(bool transpose_a, bool transpose_b, std::int64_t rows, std::int64_t columns,
                      std::int64_t inner, float alpha, const float* a, std::int64_t lda,
                      const float* b, std::int64_t ldb, float beta, float* out, std::int64_t ldo) {
  cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
              transpose_b ? CblasTrans : CblasNoTrans, static_cast<int>(rows),
              static_cast<int>(columns), static_cast<int>(inner), alpha, a, static_cast<int>(lda),
              b, static_cast<int>(ldb), beta, out, static_cast<int>(ldo));
}
inline void blas_gemm(bool transpose_a, bool transpose_b, std::int64_t rows, std::int64_t columns,
                      std::int64_t inner, double alpha, const double* a, std::int64_t lda,
                      const double* b, std::int64_t ldb, double beta, double* out,
                      std::int64_t ldo) {
  cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
              transpose_b ? CblasTrans : CblasNoTrans, static_cast<int>(rows),
              static_cast<int>(columns), static_cast<int>(inner), alpha, a, static_cast<int>(lda),
              b, static_cast<int>(ldb), beta, out, static_cast<int>(ldo));
}

}  // namespace tarn::kernels::cpu
