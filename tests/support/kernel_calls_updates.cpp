// Calls of the kernels that move, count and update elements.
#include "kernels/copy.h"
#include "kernels/optimizer.h"
#include "kernels/table.h"
#include "tests/support/kernel_calls.h"

namespace tarn::test {
namespace {

using kernels::run;
using kernels::Table;
using Outputs = std::vector<Tensor>;

const Device kCpu = Device::cpu();

Outputs copy(DType dtype, double beta) {
  const Tensor from = uniform_tensor({100, 9, 100}, dtype, "from").transpose(0, 1);
  const Tensor to = uniform_tensor({9, 100, 100}, dtype, "to");
  run(&Table::copy, kCpu, {.from = from, .to = to, .beta = beta});
  return {to};
}

Outputs fill(DType dtype) {
  const Tensor to = Tensor::empty({200001}, dtype, kCpu);
  run(&Table::fill, kCpu, {.to = to, .value = 0.25});
  return {to};
}

Outputs sum_of_squares(DType dtype) {
  const Tensor x = uniform_tensor({70001}, dtype, "x");
  const Tensor total = Tensor::zeros({2}, DType::f64, kCpu);
  run(&Table::sum_of_squares, kCpu, {.x = {x, x}, .totals = total});
  return {total};
}

Outputs count_nonfinite(DType dtype) {
  const Tensor total = Tensor::empty({1}, DType::f64, kCpu);
  run(&Table::count_nonfinite, kCpu, {.x = {uniform_tensor({70001}, dtype, "x")}, .totals = total});
  return {total};
}

Outputs clip_scales(DType /*f64 always*/) {
  const Tensor scales = Tensor::empty({300}, DType::f64, kCpu);
  const Tensor norm = Tensor::empty({1}, DType::f64, kCpu);
  const Tensor squares = uniform_tensor({300}, DType::f64, "squares");
  for (std::int64_t i = 0; i < 300; ++i) {
    double& square = squares.mutable_data<double>()[i];
    square *= square;
  }
  run(&Table::clip_scales, kCpu,
      {.squares = squares,
       .max_norm = 0.1,
       .scales = scales,
       .norm = norm,
       .stopped = Tensor::zeros({1}, DType::f64, kCpu)});
  return {scales, norm};
}

Outputs sgd_step(DType dtype) {
  const Tensor value = uniform_tensor({70001}, dtype, "value");
  const Tensor velocity = uniform_tensor({70001}, dtype, "velocity");
  run(&Table::sgd_step, kCpu,
      {.value = {value},
       .gradients = {.grad = {uniform_tensor({70001}, dtype, "grad")}},
       .velocity = {velocity},
       .lr = 0.1,
       .momentum = 0.9,
       .l2 = 0.01});
  return {value, velocity};
}

Outputs adam_step(DType dtype, bool adaptive) {
  const Tensor value = uniform_tensor({70001}, dtype, "value");
  const Tensor m = uniform_tensor({70001}, dtype, "m");
  const Tensor v = uniform_tensor({70001}, dtype, "v");
  const Tensor zero = Tensor::zeros({70001}, dtype, kCpu);
  run(&Table::adam_step, kCpu,  // v = 0 * v + 1 * m^2: a second moment is not negative
      {.value = {zero}, .gradients = {.grad = {m}}, .m = {zero}, .v = {v}, .beta2 = 0});
  run(&Table::adam_step, kCpu,
      {.value = {value},
       .gradients = {.grad = {uniform_tensor({70001}, dtype, "grad")}},
       .m = {m},
       .v = {v},
       .eps = 0.1,
       .step_size = 0.1,
       .v_scale = 1.5,
       .decay = 0.01,
       .l2 = 0.02,
       .adaptive = adaptive});
  return {value, m, v};
}

}  // namespace

std::vector<KernelCall> update_calls() {
  using D = DType;
  return {
      {"copy", "", [](D d) { return copy(d, 0); }},
      {"copy", "beta", [](D d) { return copy(d, 1); }},
      {"fill", "", fill},
      {"sum_of_squares", "", sum_of_squares},
      {"count_nonfinite", "", count_nonfinite},
      {"clip_scales", "", clip_scales},
      {"sgd_step", "", sgd_step},
      {"adam_step", "adaptive", [](D d) { return adam_step(d, true); }},
      {"adam_step", "not adaptive", [](D d) { return adam_step(d, false); }},
  };
}

}  // namespace tarn::test
