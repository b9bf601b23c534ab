// Memory and cuBLAS.
#include <cublas_v2.h>
#include <doctest/doctest.h>

#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/emulator/tests/device_memory.h"

namespace emulator::test {
namespace {

TEST_CASE("runtime: memory ends, and comes back") {
  settings().device_bytes = 1000;
  void *a = nullptr, *b = nullptr;
  CHECK(cudaMalloc(&a, 600) == cudaSuccess);
  CHECK(cudaMalloc(&b, 600) == cudaErrorMemoryAllocation);
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  CHECK(free == 400);
  CHECK(total == 1000);
  cudaFree(a);
  CHECK(cudaMalloc(&b, 600) == cudaSuccess);
  cudaFree(b);
  settings() = {};
}

TEST_CASE("runtime: copies outside of an allocation, and pointers of others, are faults") {
  DeviceMemory<float> memory(std::vector<float>(4, 0.0F));
  float host[8] = {};
  clear_faults();
  cudaMemset(memory.data() + 2, 0, 2 * sizeof(float));
  cudaDeviceSynchronize();
  CHECK(faults().empty());
  CHECK(cudaFree(host) == cudaErrorInvalidValue);
  CHECK(cudaFreeHost(memory.data()) == cudaErrorInvalidValue);
  REQUIRE(faults().size() == 2);
  CHECK(faults()[0].kind == FaultKind::usage);
  clear_faults();
}

TEST_CASE("cublas: a product is the definition, whatever is transposed") {
  clear_faults();
  cublasHandle_t handle = nullptr;
  cublasCreate(&handle);
  const int m = 5, n = 3, k = 7;
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      std::vector<float> a(m * k), b(k * n), c(m * n, 1.0F);
      for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 11) - 4;
      for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 5) - 2;
      DeviceMemory<float> da(a), db(b), dc(c);
      const float alpha = 2, beta = 3;
      const int lda = ta ? k : m, ldb = tb ? n : k;
      cublasSgemm(handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, k,
                  &alpha, da.data(), lda, db.data(), ldb, &beta, dc.data(), m);
      const std::vector<float> got = dc.read();
      for (int i = 0; i < m; ++i) {
        for (int j = 0; j < n; ++j) {
          float sum = 0;
          for (int l = 0; l < k; ++l) {
            sum += a[static_cast<std::size_t>(ta ? i * lda + l : l * lda + i)] *
                   b[static_cast<std::size_t>(tb ? l * ldb + j : j * ldb + l)];
          }
          CHECK(got[static_cast<std::size_t>(j * m + i)] == 2 * sum + 3);
        }
      }
    }
  }
  CHECK(faults().empty());
  cublasDestroy(handle);
}

TEST_CASE("cublas: a leading dimension that is too large or too small is a fault") {
  cublasHandle_t handle = nullptr;
  cublasCreate(&handle);
  DeviceMemory<float> a(std::vector<float>(20, 1.0F)), b(std::vector<float>(20, 1.0F)), c(20);
  const float one = 1, zero = 0;
  clear_faults();
  cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 5, 5, &one, a.data(), 5, b.data(), 5, &zero,
              c.data(), 4);  // a is [4, 5] with its columns 5 apart: past the end
  cudaDeviceSynchronize();
  REQUIRE(faults().size() >= 1);
  CHECK(faults()[0].kind == FaultKind::out_of_bounds);
  CHECK(faults()[0].text.find("matrix A") != std::string::npos);
  clear_faults();
  CHECK(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 5, 5, &one, a.data(), 3, b.data(), 5,
                    &zero, c.data(), 4) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(faults()[0].kind == FaultKind::usage);
  clear_faults();
  cublasDestroy(handle);
}

}  // namespace
}  // namespace emulator::test
