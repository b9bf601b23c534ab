// Calls of the kernels of linear layers, norms, activations, dropout, embeddings and losses.
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/embedding.h"
#include "kernels/gemm.h"
#include "kernels/layer_norm.h"
#include "kernels/logistic_mixture.h"
#include "kernels/table.h"
#include "kernels/unary.h"
#include "tests/support/kernel_calls.h"

namespace tarn::test {
namespace {

using kernels::run;
using kernels::Table;
using kernels::Unary;
using Outputs = std::vector<Tensor>;

const Device kCpu = Device::cpu();
const RngAddress kAddress{7, site_of("kernel_calls"), 3};

Outputs run_gemm(const Shape& a, const Shape& b, const Shape& out, kernels::GemmArgs args,
                 DType dtype) {
  args.a = uniform_tensor(a, dtype, "a");
  args.b = uniform_tensor(b, dtype, "b");
  args.out = uniform_tensor(out, dtype, "out");
  run(&Table::gemm, kCpu, args);
  return {args.out};
}

Outputs gemm_epilogue(DType dtype, Unary op) {
  const Tensor pre_activation = Tensor::empty({300, 100}, dtype, kCpu);
  Outputs outputs = run_gemm({300, 63}, {100, 63}, {300, 100},
                             {.transpose_b = true,
                              .bias = uniform_tensor({100}, dtype, "bias"),
                              .activation = op,
                              .pre_activation = pre_activation,
                              .dropout = 0.3,
                              .address = kAddress},
                             dtype);
  outputs.push_back(pre_activation);
  return outputs;
}

Outputs linear_epilogue_backward(DType dtype, Unary op, double dropout) {
  const Shape shape{4200, 63};
  kernels::LinearEpilogueBackwardArgs args{
      .grad = uniform_tensor(shape, dtype, "grad"),
      .out = uniform_tensor(shape, dtype, "out"),
      .pre_activation = uniform_tensor(shape, dtype, "pre_activation"),
      .activation = op,
      .dropout = dropout,
      .address = kAddress,
      .grad_bias = uniform_tensor({63}, dtype, "grad_bias"),
      .beta_bias = 1};
  run(&Table::linear_epilogue_backward, kCpu, args);
  return {args.grad, args.grad_bias};
}

Outputs unary_forward(DType dtype, Unary op) {
  const Tensor x = uniform_tensor({700, 100}, dtype, "x");
  const Tensor out = Tensor::empty_like(x);
  run(&Table::unary_forward, kCpu, {.x = x, .out = out, .op = op});
  return {out};
}

Outputs unary_backward(DType dtype, Unary op) {
  const Tensor saved = uniform_tensor({700, 100}, dtype, "saved");
  const Tensor grad_x = uniform_tensor({700, 100}, dtype, "grad_x");
  run(&Table::unary_backward, kCpu,
      {.saved = saved,
       .grad_out = uniform_tensor({700, 100}, dtype, "grad_out"),
       .grad_x = grad_x,
       .op = op,
       .beta = 1});
  return {grad_x};
}

Outputs dropout(DType dtype) {
  const Tensor out = uniform_tensor({70001}, dtype, "out");
  run(&Table::dropout, kCpu,
      {.x = uniform_tensor({70001}, dtype, "x"),
       .out = out,
       .probability = 0.3,
       .address = kAddress,
       .beta = 1});
  return {out};
}

Tensor tokens(std::int64_t count, std::int64_t vocabulary) {
  const Tensor t = Tensor::empty({count}, DType::i32, kCpu);
  for (std::int64_t i = 0; i < count; ++i) {
    t.mutable_data<std::int32_t>()[i] = static_cast<std::int32_t>(random_below(
        kAddress, static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(vocabulary)));
  }
  return t;
}

Outputs embedding_forward(DType dtype) {
  const Tensor out = Tensor::empty({700, 100}, dtype, kCpu);
  run(&Table::embedding_forward, kCpu,
      {.tokens = tokens(700, 63), .weight = uniform_tensor({63, 100}, dtype, "w"), .out = out});
  return {out};
}

Outputs embedding_backward(DType dtype) {
  const Tensor grad = uniform_tensor({63, 100}, dtype, "grad");
  run(&Table::embedding_backward, kCpu,
      {.tokens = tokens(700, 63),
       .grad_out = uniform_tensor({700, 100}, dtype, "grad_out"),
       .grad_weight = grad,
       .beta = 1});
  return {grad};
}

Outputs layer_norm_forward(DType dtype, bool branched) {
  const Shape shape{700, 100};
  const Tensor x = uniform_tensor(shape, dtype, "x"), sum = Tensor::empty_like(x);
  const Tensor out = Tensor::empty_like(x), mean = Tensor::empty({700}, dtype, kCpu);
  const Tensor rstd = Tensor::empty_like(mean);
  run(&Table::layer_norm_forward, kCpu,
      {.x = x,
       .branch = branched ? uniform_tensor(shape, dtype, "branch") : Tensor(),
       .weight = uniform_tensor({100}, dtype, "weight"),
       .bias = uniform_tensor({100}, dtype, "bias"),
       .sum = branched ? sum : Tensor(),
       .out = out,
       .mean = mean,
       .rstd = rstd,
       .dropout = branched ? 0.3 : 0,
       .address = kAddress});
  Outputs outputs{out, mean, rstd};
  if (branched) outputs.push_back(sum);
  return outputs;
}

Outputs layer_norm_backward(DType dtype) {
  const Shape shape{4200, 63};
  kernels::LayerNormBackwardArgs args{.sum = uniform_tensor(shape, dtype, "sum"),
                                      .weight = uniform_tensor({63}, dtype, "weight"),
                                      .mean = uniform_tensor({4200}, dtype, "mean"),
                                      .rstd = uniform_tensor({4200}, dtype, "rstd"),
                                      .grad_out = uniform_tensor(shape, dtype, "grad_out"),
                                      .grad_x = uniform_tensor(shape, dtype, "grad_x"),
                                      .grad_branch = Tensor::empty(shape, dtype, kCpu),
                                      .grad_weight = uniform_tensor({63}, dtype, "grad_weight"),
                                      .grad_bias = uniform_tensor({63}, dtype, "grad_bias"),
                                      .beta_x = 1,
                                      .beta_weight = 1,
                                      .beta_bias = 1,
                                      .dropout = 0.3,
                                      .address = kAddress};
  run(&Table::layer_norm_backward, kCpu, args);
  return {args.grad_x, args.grad_branch, args.grad_weight, args.grad_bias};
}

Outputs cross_entropy_forward(DType dtype) {
  kernels::CrossEntropyForwardArgs args{.logits = uniform_tensor({700, 63}, dtype, "logits"),
                                        .targets = tokens(700, 63),
                                        .weights = uniform_tensor({700}, dtype, "weights"),
                                        .totals = Tensor::empty({3}, DType::f64, kCpu),
                                        .loss = Tensor::empty({}, dtype, kCpu)};
  run(&Table::cross_entropy_forward, kCpu, args);
  return {args.totals, args.loss};
}

Outputs cross_entropy_backward(DType dtype) {
  const Tensor grad = uniform_tensor({700, 63}, dtype, "grad");
  run(&Table::cross_entropy_backward, kCpu,
      {.logits = uniform_tensor({700, 63}, dtype, "logits"),
       .targets = tokens(700, 63),
       .weights = uniform_tensor({700}, dtype, "weights"),
       .totals = uniform_tensor({3}, DType::f64, "totals"),
       .grad_loss = uniform_tensor({}, dtype, "grad_loss"),
       .grad_logits = grad,
       .beta = 1});
  return {grad};
}

Outputs logistic_mixture_forward(DType dtype) {
  const Tensor parameters = uniform_tensor({700, 30}, dtype, "parameters");
  kernels::LogisticMixtureForwardArgs args{.parameters = parameters,
                                           .targets = uniform_tensor({700}, DType::f32, "targets"),
                                           .totals = Tensor::empty({2}, DType::f64, kCpu),
                                           .loss = Tensor::empty({}, dtype, kCpu),
                                           .gradient = Tensor::empty_like(parameters)};
  run(&Table::logistic_mixture_forward, kCpu, args);
  return {args.totals, args.loss, args.gradient};
}

Outputs logistic_mixture_backward(DType dtype) {
  const Tensor grad = uniform_tensor({1500, 30}, dtype, "grad");
  run(&Table::logistic_mixture_backward, kCpu,
      {.gradient = uniform_tensor({1500, 30}, dtype, "gradient"),
       .grad_loss = uniform_tensor({}, dtype, "grad_loss"),
       .grad_parameters = grad,
       .beta = 1});
  return {grad};
}

}  // namespace

std::vector<KernelCall> layer_calls() {
  using D = DType;
  std::vector<KernelCall> calls = {
      {"gemm", "plain",
       [](D d) {
         return run_gemm({700, 63}, {63, 100}, {700, 100}, {.beta = 1}, d);
       }},
      {"gemm", "by slabs",
       [](D d) {
         return run_gemm({5000, 33}, {5000, 63}, {33, 63}, {.transpose_a = true, .beta = 1}, d);
       }},
      {"dropout", "", dropout},
      {"embedding_forward", "", embedding_forward},
      {"embedding_backward", "", embedding_backward},
      {"layer_norm_forward", "", [](D d) { return layer_norm_forward(d, false); }},
      {"layer_norm_forward", "branch", [](D d) { return layer_norm_forward(d, true); }},
      {"layer_norm_backward", "", layer_norm_backward},
      {"cross_entropy_forward", "", cross_entropy_forward},
      {"cross_entropy_backward", "", cross_entropy_backward},
      {"logistic_mixture_forward", "", logistic_mixture_forward},
      {"logistic_mixture_backward", "", logistic_mixture_backward},
  };
  for (const Unary op : {Unary::identity, Unary::relu, Unary::gelu, Unary::elu_plus_one}) {
    const std::string name = message("activation ", static_cast<int>(op));
    calls.push_back({"gemm", name, [=](D d) { return gemm_epilogue(d, op); }});
    for (const double dropout : {0.0, 0.3}) {
      calls.push_back({"linear_epilogue_backward", message(name, " dropout ", dropout),
                       [=](D d) { return linear_epilogue_backward(d, op, dropout); }});
    }
    calls.push_back({"unary_forward", name, [=](D d) { return unary_forward(d, op); }});
    calls.push_back({"unary_backward", name, [=](D d) { return unary_backward(d, op); }});
  }
  return calls;
}

}  // namespace tarn::test
