// Products and their epilogue on CUDA devices against the CPU's.
#include <doctest/doctest.h>

#include "core/transfer.h"
#include "kernels/gemm.h"
#include "kernels/table.h"
#include "tests/support/compare_devices.h"

namespace tarn::kernels {
namespace {

using test::compare;
using test::kFloats;
using test::random_tensor;
using test::rounding;
using Tensors = std::vector<Tensor>;

constexpr Unary kActivations[] = {Unary::identity, Unary::relu, Unary::gelu, Unary::elu_plus_one};

// A matrix whose rows are apart, as a slice of a wider one.
Tensor apart(std::int64_t rows, std::int64_t columns, DType dtype, const char* name,
             Device device) {
  return copy_to(random_tensor({rows, columns + 3}, dtype, name), device).slice(1, 2, columns);
}

TEST_CASE("cuda: gemm, transposed or not, of rows apart, added to what is there") {
  for (const DType dtype : kFloats) {
    for (const std::int64_t n : {0, 1, 63, 100}) {
      for (const int transposed : {0, 1, 2, 3}) {
        CAPTURE(n);
        CAPTURE(transposed);
        compare(dtype, 10 * rounding(dtype), [&](Device device) {
          const bool a = (transposed & 1) != 0, b = (transposed & 2) != 0;
          const std::int64_t inner = 5;
          const Tensor out = copy_to(random_tensor({n, 33}, dtype, "out"), device);
          run(&Table::gemm, device,
              {.a = apart(a ? inner : n, a ? n : inner, dtype, "a", device),
               .b = apart(b ? 33 : inner, b ? inner : 33, dtype, "b", device),
               .out = out,
               .transpose_a = a,
               .transpose_b = b,
               .beta = 0.5});
          return Tensors{out};
        });
      }
    }
  }
}

TEST_CASE("cuda: gemm's epilogue, of all columns and of the first few") {
  for (const DType dtype : kFloats) {
    for (const std::int64_t n : {1, 63, 257}) {
      for (const Unary op : kActivations) {
        for (const double dropout : {0.0, 0.3}) {
          CAPTURE(static_cast<int>(op));
          compare(dtype, 10 * rounding(dtype), [&](Device device) {
            const Tensor out = Tensor::empty({n, 9}, dtype, device);
            const Tensor pre_activation = Tensor::empty({n, 9}, dtype, device);
            run(&Table::gemm, device,
                {.a = apart(n, 5, dtype, "a", device),
                 .b = apart(5, 9, dtype, "b", device),
                 .out = out,
                 .bias = copy_to(random_tensor({9}, dtype, "bias"), device),
                 .activation = op,
                 .activated = n == 63 ? 4 : -1,
                 .pre_activation = pre_activation,
                 .dropout = dropout,
                 .address = {1, 2, 3}});
            return Tensors{out, pre_activation};
          });
        }
      }
    }
  }
}

TEST_CASE("cuda: the gradient through the epilogue, and of the bias") {
  for (const DType dtype : kFloats) {
    for (const std::int64_t n : {1, 63, 257, 1000}) {
      for (const Unary op : kActivations) {
        for (const double dropout : {0.0, 0.3}) {
          CAPTURE(static_cast<int>(op));
          compare(dtype, 10 * rounding(dtype), [&](Device device) {
            const Tensor grad = copy_to(random_tensor({n, 35}, dtype, "grad"), device);
            const Tensor grad_bias = copy_to(random_tensor({33}, dtype, "bias"), device);
            run(&Table::linear_epilogue_backward, device,
                {.grad = grad.slice(1, 1, 33),
                 .out = apart(n, 33, dtype, "out", device),
                 .pre_activation = apart(n, 33, dtype, "pre", device),
                 .activation = op,
                 .dropout = dropout,
                 .address = {1, 2, 3},
                 .grad_bias = n == 63 ? Tensor() : grad_bias,
                 .beta_bias = 0.5});
            return Tensors{grad, grad_bias};
          });
        }
      }
    }
  }
}

}  // namespace
}  // namespace tarn::kernels
