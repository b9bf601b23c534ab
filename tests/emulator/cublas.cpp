#include <cblas.h>
#include <cublas_v2.h>

#include <algorithm>

#include "tests/emulator/checker.h"
#include "tests/emulator/faults.h"

struct EmulatedCublas {
  cudaStream_t stream = nullptr;
};

namespace {

using emulator::FaultKind;
using emulator::text_of;

// One product of a batch; the values of alpha and beta are read when the call is made.
template <class T>
struct Product {
  bool transpose_a, transpose_b;
  int m, n, k;
  T alpha;
  const T* a;
  int lda;
  const T* b;
  int ldb;
  T beta;
  T* c;
  int ldc;
};

// The bytes from the first element of a column-major matrix to its last.
template <class T>
std::size_t extent(int rows, int columns, int leading) {
  if (rows == 0 || columns == 0) return 0;
  return (static_cast<std::size_t>(columns - 1) * static_cast<std::size_t>(leading) +
          static_cast<std::size_t>(rows)) *
         sizeof(T);
}

// Column by column: what lies between the columns belongs to others, who may not have written it.
template <class T>
void check_matrix(const T* matrix, int rows, int columns, int leading, bool write,
                  const char* what) {
  for (int column = 0; column < columns; ++column) {
    const T* begin = matrix + static_cast<std::ptrdiff_t>(column) * leading;
    const std::size_t bytes = extent<T>(rows, 1, leading);
    if (write) {
      emulator::check_write(const_cast<T*>(begin), bytes, what);
    } else {
      emulator::check_read(begin, bytes, what);
    }
  }
}

template <class T>
void run(const Product<T>& p) {
  const std::uint64_t before = emulator::fault_count();
  check_matrix(p.a, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.lda, false,
               "cuBLAS product, matrix A");
  check_matrix(p.b, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.ldb, false,
               "cuBLAS product, matrix B");
  if (p.beta != 0) check_matrix(p.c, p.m, p.n, p.ldc, false, "cuBLAS product, matrix C");
  check_matrix(p.c, p.m, p.n, p.ldc, true, "cuBLAS product, matrix C");
  if (emulator::fault_count() != before) return;  // the memory may not be there
  const auto a = p.transpose_a ? CblasTrans : CblasNoTrans;
  const auto b = p.transpose_b ? CblasTrans : CblasNoTrans;
  if constexpr (sizeof(T) == sizeof(float)) {
    cblas_sgemm(CblasColMajor, a, b, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, p.c,
                p.ldc);
  } else {
    cblas_dgemm(CblasColMajor, a, b, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, p.c,
                p.ldc);
  }
}

template <class T>
cublasStatus_t enqueue(cublasHandle_t handle, Product<T> p, long long stride_a, long long stride_b,
                       long long stride_c, int batch) {
  const bool fits = p.m >= 0 && p.n >= 0 && p.k >= 0 && batch >= 0 &&
                    p.lda >= std::max(1, p.transpose_a ? p.k : p.m) &&
                    p.ldb >= std::max(1, p.transpose_b ? p.n : p.k) && p.ldc >= std::max(1, p.m);
  if (!fits) {
    emulator::report(FaultKind::usage,
                     text_of("cuBLAS product of m %d, n %d, k %d with leading dimensions %d, %d, "
                             "%d: one is smaller than its matrix",
                             p.m, p.n, p.k, p.lda, p.ldb, p.ldc));
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  emulator::Stream* stream = emulator::Stream::of(handle->stream);
  if (!stream->capturing()) ++emulator::counters().submissions;
  stream->add("cuBLAS product", {p.a, p.b, p.c}, [=] {
    ++emulator::counters().launches;
    for (int i = 0; i < batch; ++i) {
      Product<T> one = p;
      one.a += i * stride_a;
      one.b += i * stride_b;
      one.c += i * stride_c;
      run(one);
    }
  });
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  *handle = new EmulatedCublas;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) { return CUBLAS_STATUS_SUCCESS; }
const char* cublasGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "success" : "failure";
}

#define PRODUCT(T)                                                                           \
  Product<T> {                                                                               \
    op_a == CUBLAS_OP_T, op_b == CUBLAS_OP_T, m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc \
  }

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                           int m, int n, int k, const float* alpha, const float* a, int lda,
                           const float* b, int ldb, const float* beta, float* c, int ldc) {
  return enqueue(handle, PRODUCT(float), 0, 0, 0, 1);
}
cublasStatus_t cublasDgemm(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                           int m, int n, int k, const double* alpha, const double* a, int lda,
                           const double* b, int ldb, const double* beta, double* c, int ldc) {
  return enqueue(handle, PRODUCT(double), 0, 0, 0, 1);
}
cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t op_a,
                                         cublasOperation_t op_b, int m, int n, int k,
                                         const float* alpha, const float* a, int lda,
                                         long long stride_a, const float* b, int ldb,
                                         long long stride_b, const float* beta, float* c, int ldc,
                                         long long stride_c, int batch) {
  return enqueue(handle, PRODUCT(float), stride_a, stride_b, stride_c, batch);
}
cublasStatus_t cublasDgemmStridedBatched(cublasHandle_t handle, cublasOperation_t op_a,
                                         cublasOperation_t op_b, int m, int n, int k,
                                         const double* alpha, const double* a, int lda,
                                         long long stride_a, const double* b, int ldb,
                                         long long stride_b, const double* beta, double* c, int ldc,
                                         long long stride_c, int batch) {
  return enqueue(handle, PRODUCT(double), stride_a, stride_b, stride_c, batch);
}
