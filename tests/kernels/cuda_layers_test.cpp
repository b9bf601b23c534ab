// Kernels of CUDA devices that normalise rows, against the CPU's on the same inputs.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/transfer.h"
#include "kernels/cross_entropy.h"
#include "kernels/layer_norm.h"
#include "kernels/table.h"
#include "tests/support/compare_devices.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::compare;
using test::kFloats;
using test::random_tensor;
using Tensors = std::vector<Tensor>;

const RngAddress kAddress{5, 6, 7};
// Rows and widths: less than a warp, a block or a chunk, and more than that.
const std::vector<Shape> kShapes = {{1, 1}, {1, 257}, {63, 100}, {100, 63}, {257, 1}, {3, 1000}};

double tolerance(DType dtype) { return dtype == DType::f32 ? 1e-5 : 1e-12; }

Tensor normal(const Shape& shape, DType dtype, const char* name, Device device) {
  return copy_to(random_tensor(shape, dtype, name), device);
}

TEST_CASE(
    "cuda: layer normalisation, with and without a branch, and the sum in place of the output") {
  for (const DType dtype : kFloats) {
    for (const Shape& shape : kShapes) {
      CAPTURE(shape);
      for (const double dropout : {0.0, 0.3}) {
        compare(dtype, tolerance(dtype), [&](Device device) {
          const Tensor x = normal(shape, dtype, "x", device);
          const Tensor branch = normal(shape, dtype, "branch", device);
          const Tensor weight = normal({shape[1]}, dtype, "weight", device);
          const Tensor bias = normal({shape[1]}, dtype, "bias", device);
          const Tensor sum = Tensor::empty(shape, dtype, device), out = Tensor::empty_like(sum);
          const Tensor in_place = Tensor::empty_like(sum), plain = Tensor::empty_like(sum);
          const Tensor mean = Tensor::empty({shape[0]}, dtype, device);
          const Tensor rstd = Tensor::empty_like(mean);
          LayerNormForwardArgs args{.x = x,
                                    .branch = branch,
                                    .weight = weight,
                                    .bias = bias,
                                    .sum = sum,
                                    .out = out,
                                    .mean = mean,
                                    .rstd = rstd,
                                    .eps = 1e-3,
                                    .dropout = dropout,
                                    .address = kAddress};
          run(&Table::layer_norm_forward, device, args);
          args.sum = args.out = in_place;
          args.mean = args.rstd = Tensor();
          run(&Table::layer_norm_forward, device, args);
          args.branch = args.sum = Tensor();
          args.out = plain;
          run(&Table::layer_norm_forward, device, args);
          return Tensors{sum, out, mean, rstd, in_place, plain};
        });
      }
    }
  }
}

TEST_CASE("cuda: gradients of layer normalisation, all of them and each alone") {
  std::vector<Shape> shapes = kShapes;
  shapes.push_back({4200, 3});  // in longer chunks
  for (const DType dtype : kFloats) {
    for (const Shape& shape : shapes) {
      CAPTURE(shape);
      for (const double beta : {0.0, 0.5}) {
        compare(dtype, tolerance(dtype), [&](Device device) {
          const Shape rows{shape[0]}, width{shape[1]};
          LayerNormBackwardArgs args{.sum = normal(shape, dtype, "sum", device),
                                     .weight = normal(width, dtype, "weight", device),
                                     .mean = normal(rows, dtype, "mean", device),
                                     .rstd = normal(rows, dtype, "rstd", device),
                                     .grad_out = normal(shape, dtype, "grad_out", device),
                                     .beta_x = beta,
                                     .beta_branch = beta,
                                     .beta_weight = beta,
                                     .beta_bias = beta,
                                     .dropout = beta == 0 ? 0 : 0.3,
                                     .address = kAddress};
          Tensors grads;
          for (const bool together : {true, false}) {
            Tensor* const targets[] = {&args.grad_x, &args.grad_branch, &args.grad_weight,
                                       &args.grad_bias};
            for (Tensor* const target : targets) {
              const bool of_weight = target == &args.grad_weight || target == &args.grad_bias;
              *target = normal(of_weight ? width : shape, dtype, "old", device);
              grads.push_back(*target);
              if (together && target != &args.grad_bias) continue;
              run(&Table::layer_norm_backward, device, args);
              args.grad_x = args.grad_branch = args.grad_weight = args.grad_bias = Tensor();
            }
          }
          return grads;
        });
      }
    }
  }
}

TEST_CASE("cuda: layer normalisation of no rows only scales the gradients of its parameters") {
  for (const DType dtype : kFloats) {
    compare(dtype, 0, [&](Device device) {
      const Tensor none = Tensor::empty({0, 5}, dtype, device);
      const Tensor no_rows = Tensor::empty({0}, dtype, device);
      const Tensor weight = normal({5}, dtype, "weight", device);
      const Tensor grad_weight = normal({5}, dtype, "old", device);
      const Tensor grad_bias = normal({5}, dtype, "old", device);
      run(&Table::layer_norm_forward, device,
          {.x = none, .weight = weight, .bias = weight, .out = none});
      run(&Table::layer_norm_backward, device,
          {.sum = none,
           .weight = weight,
           .mean = no_rows,
           .rstd = no_rows,
           .grad_out = none,
           .grad_x = none,
           .grad_weight = grad_weight,
           .grad_bias = grad_bias,
           .beta_weight = 0.5});
      return Tensors{grad_weight, grad_bias};
    });
  }
}

Tensor targets_of(std::int64_t rows, std::int64_t classes, Device device) {
  std::vector<double> values(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<double>(static_cast<std::int64_t>(i) * 5 % classes);
  }
  return copy_to(test::from_vector({rows}, values, DType::i32), device);
}

// Every third is 0.
Tensor weights_of(std::int64_t rows, DType dtype, Device device) {
  std::vector<double> values(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = i % 3 == 1 ? 0 : 0.25 * static_cast<double>(i % 4 + 1);
  }
  return copy_to(test::from_vector({rows}, values, dtype), device);
}

// Totals, the loss, and the gradient after one that was there.
Tensors cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& weights,
                      double beta) {
  const DType dtype = logits.dtype();
  const Device device = logits.device();
  const Tensor totals = Tensor::empty({3}, DType::f64, device);
  const Tensor loss = Tensor::empty({}, dtype, device);
  run(&Table::cross_entropy_forward, device,
      {.logits = logits, .targets = targets, .weights = weights, .totals = totals, .loss = loss});
  const Tensor grad = normal(logits.shape(), dtype, "old", device);
  run(&Table::cross_entropy_backward, device,
      {.logits = logits,
       .targets = targets,
       .weights = weights,
       .totals = totals,
       .grad_loss = copy_to(test::full({}, dtype, 1.5), device),
       .grad_logits = grad,
       .beta = beta});
  return {totals, loss, grad};
}

TEST_CASE("cuda: cross entropy") {
  for (const DType dtype : kFloats) {
    for (const Shape& shape : kShapes) {
      CAPTURE(shape);
      for (const double beta : {0.0, 0.5}) {
        compare(dtype, tolerance(dtype), [&](Device device) {
          return cross_entropy(normal(shape, dtype, "logits", device),
                               targets_of(shape[0], shape[1], device),
                               weights_of(shape[0], dtype, device), beta);
        });
      }
    }
  }
}

TEST_CASE("cuda: of equal logits the first is the largest, and a row with a NaN is never right") {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  for (const DType dtype : kFloats) {
    for (const std::int64_t classes : {3, 40, 257}) {
      for (const double odd : {0.0, 7.0, nan, infinity, -infinity}) {
        for (const std::int64_t at : {std::int64_t{0}, classes - 1}) {
          for (const Device device : test::devices()) {
            CAPTURE(device.str());
            CAPTURE(odd);
            const Tensor logits = test::full({2, classes}, dtype, 0);
            test::set(logits, {1, at}, odd);
            const Tensor targets = test::from_vector({2}, {0, static_cast<double>(at)}, DType::i32);
            const Tensor totals = cross_entropy(copy_to(logits, device), copy_to(targets, device),
                                                copy_to(test::full({2}, dtype, 1), device), 0)[0];
            const bool right = odd == 7 || (odd == 0 && at == 0);
            CHECK(test::get(totals, 2) == (right ? 2 : 1));
            CHECK(std::isnan(test::get(totals, std::int64_t{0})) == !(odd < infinity));
          }
        }
      }
    }
  }
}

TEST_CASE("cuda: cross entropy of no rows has no mean") {
  for (const DType dtype : kFloats) {
    for (const Device device : test::devices()) {
      const Tensor none = Tensor::empty({0}, dtype, device);
      const Tensors results = cross_entropy(Tensor::empty({0, 3}, dtype, device),
                                            Tensor::empty({0}, DType::i32, device), none, 0);
      CHECK(test::max_abs(results[0]) == 0);
      CHECK(std::isnan(test::max_abs(results[1])));
    }
  }
}

}  // namespace
}  // namespace tarn::kernels
