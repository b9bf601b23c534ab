// Launches of a size at which a kernel shows what it costs, compared with the CPU's.
// tools/ptx_counts runs them through the interpreter of PTX and makes a table of what it counts.
#include <doctest/doctest.h>

#include <cmath>

#include "core/transfer.h"
#include "kernels/causal_linear_attention.h"
#include "kernels/layer_norm.h"
#include "kernels/softmax_attention.h"
#include "kernels/table.h"
#include "tests/support/compare_devices.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::random_tensor;
using Tensors = std::vector<Tensor>;

Tensor normal(const Shape& shape, const char* name, Device device) {
  return copy_to(random_tensor(shape, DType::f32, name), device);
}

// Queries or keys after a feature map.
Tensor features(const Shape& shape, const char* name, Device device) {
  const Tensor x = random_tensor(shape, DType::f32, name);
  for (std::int64_t i = 0; i < x.elements(); ++i) test::set(x, i, std::exp(test::get(x, i)));
  return copy_to(x, device);
}

TEST_CASE("counted: causal linear attention, 784 positions of 8 heads of 32") {
  const Shape shape{1, 784, 8, 32};
  test::compare(DType::f32, 1e-5, [&](Device device) {
    const Tensor query = features(shape, "query", device), key = features(shape, "key", device);
    const Tensor value = normal(shape, "value", device);
    const Tensor out = Tensor::empty(shape, DType::f32, device);
    const Tensor inverse_sum = Tensor::empty({1, 8, 784}, DType::f32, device);
    const Tensor grad_query = Tensor::empty_like(out), grad_key = Tensor::empty_like(out);
    const Tensor grad_value = Tensor::empty_like(out);
    run(&Table::causal_linear_attention_forward, device,
        {.query = query, .key = key, .value = value, .out = out, .inverse_sum = inverse_sum});
    run(&Table::causal_linear_attention_backward, device,
        {.query = query,
         .key = key,
         .value = value,
         .out = out,
         .inverse_sum = inverse_sum,
         .grad_out = normal(shape, "grad_out", device),
         .grad_query = grad_query,
         .grad_key = grad_key,
         .grad_value = grad_value});
    return Tensors{out, inverse_sum, grad_query, grad_key, grad_value};
  });
}

TEST_CASE("counted: causal softmax attention, 256 positions of 4 heads of 32") {
  const Shape shape{1, 256, 4, 32};
  test::compare(DType::f32, 1e-5, [&](Device device) {
    const Tensor out = Tensor::empty(shape, DType::f32, device);
    const Tensor log_sum_exp = Tensor::empty({1, 4, 256}, DType::f32, device);
    run(&Table::softmax_attention_forward, device,
        {.query = normal(shape, "query", device),
         .key = normal(shape, "key", device),
         .value = normal(shape, "value", device),
         .scale = 1 / std::sqrt(32.0),
         .causal = true,
         .out = out,
         .log_sum_exp = log_sum_exp});
    return Tensors{out, log_sum_exp};
  });
}

TEST_CASE("counted: layer normalisation of a sum, 512 rows of 256") {
  const Shape shape{512, 256};
  test::compare(DType::f32, 1e-5, [&](Device device) {
    const Tensor sum = Tensor::empty(shape, DType::f32, device), out = Tensor::empty_like(sum);
    const Tensor mean = Tensor::empty({512}, DType::f32, device), rstd = Tensor::empty_like(mean);
    const Tensor weight = normal({256}, "weight", device);
    const Tensor grad_x = Tensor::empty_like(sum), grad_branch = Tensor::empty_like(sum);
    run(&Table::layer_norm_forward, device,
        {.x = normal(shape, "x", device),
         .branch = normal(shape, "branch", device),
         .weight = weight,
         .bias = normal({256}, "bias", device),
         .sum = sum,
         .out = out,
         .mean = mean,
         .rstd = rstd});
    run(&Table::layer_norm_backward, device,
        {.sum = sum,
         .weight = weight,
         .mean = mean,
         .rstd = rstd,
         .grad_out = normal(shape, "grad_out", device),
         .grad_x = grad_x,
         .grad_branch = grad_branch});
    return Tensors{sum, out, mean, rstd, grad_x, grad_branch};
  });
}

}  // namespace
}  // namespace tarn::kernels
