#include "kernels/cuda/blas.h"

#include <cublas_v2.h>

#include <algorithm>
#include <climits>
#include <map>

#include "core/check.h"
#include "core/cuda/runtime.h"

namespace tarn::kernels::cuda {
namespace {

void check_blas(cublasStatus_t status, const char* call, Device device) {
  TARN_CHECK_AS(DeviceError, status == CUBLAS_STATUS_SUCCESS, call, " on ", device, ": ",
                cublasGetStatusString(status));
}

// One a device, made when it is first needed and kept to the program's end; on the current stream.
cublasHandle_t handle_of(Device device) {
  static std::map<std::int32_t, cublasHandle_t> handles;
  cublasHandle_t& handle = handles[device.index];
  if (handle == nullptr) {
    const tarn::cuda::DeviceGuard guard(device.index);
    check_blas(cublasCreate(&handle), "cublasCreate", device);
  }
  check_blas(cublasSetStream(handle, tarn::cuda::current_stream(device.index)), "cublasSetStream",
             device);
  return handle;
}

// Matrices of one row may have any distance to a next one, which cuBLAS wants to be a row at least.
int leading(std::int64_t distance, std::int64_t width) {
  return static_cast<int>(std::max({distance, width, std::int64_t{1}}));
}

cublasOperation_t op(bool transpose) { return transpose ? CUBLAS_OP_T : CUBLAS_OP_N; }

constexpr auto product(float /*type*/) { return cublasSgemm; }
constexpr auto product(double /*type*/) { return cublasDgemm; }

}  // namespace

// cuBLAS's matrices are column-major, that is, it takes a row-major c for its transpose, which is
// op(b)^T op(a)^T.
template <class T>
void blas_gemm(Device device, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n,
               std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T beta,
               T* c, std::int64_t ldc) {
  TARN_CHECK(std::max({m, n, k, lda, ldb, ldc}) <= INT_MAX, "gemm: a product of [", m, ", ", k,
             "] and [", k, ", ", n, "] is too large for cuBLAS: make the batch smaller");
  const T one = 1;
  check_blas(product(T{})(handle_of(device), op(transpose_b), op(transpose_a), static_cast<int>(n),
                          static_cast<int>(m), static_cast<int>(k), &one, b,
                          leading(ldb, transpose_b ? k : n), a, leading(lda, transpose_a ? m : k),
                          &beta, c, leading(ldc, n)),
             "cuBLAS product", device);
}

template void blas_gemm(Device, bool, bool, std::int64_t, std::int64_t, std::int64_t, const float*,
                        std::int64_t, const float*, std::int64_t, float, float*, std::int64_t);
template void blas_gemm(Device, bool, bool, std::int64_t, std::int64_t, std::int64_t, const double*,
                        std::int64_t, const double*, std::int64_t, double, double*, std::int64_t);

}  // namespace tarn::kernels::cuda
