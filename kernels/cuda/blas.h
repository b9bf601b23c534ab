// Matrix products of row-major matrices by cuBLAS, on the device's current stream.
#pragma once

#include "core/device.h"

namespace tarn::kernels::cuda {

// c = op(a) op(b) + beta * c with op(a) [m, k], op(b) [k, n] and c [m, n], row-major, f32 or f64;
// lda, ldb and ldc are the elements from one row in memory to the next. c is not read where beta is
// 0. Products are of the full precision of the type. Throws DeviceError with cuBLAS's reason.
template <class T>
void blas_gemm(Device device, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n,
               std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T beta,
               T* c, std::int64_t ldc);

}  // namespace tarn::kernels::cuda
