// Calls of the attention kernels: several sequences and heads, over several tiles.
#include "kernels/causal_linear_attention.h"
#include "kernels/linear_attention.h"
#include "kernels/lsh_attention.h"
#include "kernels/softmax_attention.h"
#include "kernels/table.h"
#include "tests/support/encoder_step_problem.h"
#include "tests/support/kernel_calls.h"
#include "tests/support/random_tensor.h"

namespace tarn::test {
namespace {

using kernels::run;
using kernels::Table;
using Outputs = std::vector<Tensor>;

const Device kCpu = Device::cpu();
constexpr std::int64_t kWidth = 24, kOutWidth = 33;

struct Sizes {
  std::int64_t batch = 2, length = 150, heads = 3;
};

Tensor positive(const Shape& shape, DType dtype, const char* name) {
  Tensor t = uniform_tensor(shape, dtype, name);
  for (std::int64_t i = 0; i < t.elements(); ++i) set(t, i, get(t, i) + 1.1);
  return t;
}

struct Problem {
  explicit Problem(DType dtype, const Sizes& s = {})
      : query(positive({s.batch, s.length, s.heads, kWidth}, dtype, "query")),
        key(positive({s.batch, s.length, s.heads, kWidth}, dtype, "key")),
        value(uniform_tensor({s.batch, s.length, s.heads, kOutWidth}, dtype, "value")),
        lengths(full({s.batch}, DType::i32, static_cast<double>(s.length))),
        out(Tensor::empty({s.batch, s.length, s.heads, kOutWidth}, dtype, kCpu)),
        per_position(Tensor::empty({s.batch, s.heads, s.length}, dtype, kCpu)),
        sum(Tensor::empty({s.batch, s.heads, kWidth, kOutWidth}, dtype, kCpu)),
        key_sum(Tensor::empty({s.batch, s.heads, kWidth}, dtype, kCpu)),
        grad_out(uniform_tensor(out.shape(), dtype, "grad_out")),
        grad_query(uniform_tensor(query.shape(), dtype, "grad_query")),
        grad_key(uniform_tensor(key.shape(), dtype, "grad_key")),
        grad_value(uniform_tensor(value.shape(), dtype, "grad_value")) {
    set(lengths, s.batch - 1, static_cast<double>(s.length * 2 / 3));
  }

  Tensor query, key, value, lengths, out, per_position, sum, key_sum;
  Tensor grad_out, grad_query, grad_key, grad_value;
};

// Fills the arguments that kernels share by name; each kernel adds its own.
template <class Args>
Args forward_args(const Problem& p) {
  Args args;
  args.query = p.query;
  args.key = p.key;
  args.value = p.value;
  args.lengths = p.lengths;
  args.out = p.out;
  return args;
}

template <class Args>
Args backward_args(const Problem& p) {
  Args args = forward_args<Args>(p);
  args.grad_out = p.grad_out;
  args.grad_query = p.grad_query;
  args.grad_key = p.grad_key;
  args.grad_value = p.grad_value;
  args.beta_query = args.beta_key = args.beta_value = 1;
  return args;
}

Outputs causal_linear(DType dtype, bool backward, const Sizes& sizes = {}) {
  const Problem p(dtype, sizes);
  auto args = forward_args<kernels::CausalLinearAttentionForwardArgs>(p);
  args.inverse_sum = p.per_position;
  run(&Table::causal_linear_attention_forward, kCpu, args);
  if (!backward) return {p.out, p.per_position};
  auto back = backward_args<kernels::CausalLinearAttentionBackwardArgs>(p);
  back.inverse_sum = p.per_position;
  run(&Table::causal_linear_attention_backward, kCpu, back);
  return {p.grad_query, p.grad_key, p.grad_value};
}

Outputs pack_weight(DType dtype) {
  return {DenseLinear::random(63, 257, dtype, dtype, "pack").panels.panels};
}

constexpr kernels::StepRule kSoftmaxRule{.kind = kernels::StepRule::Kind::softmax, .scale = 0.3};

Outputs step(DType dtype, const kernels::StepRule& rule, DType storage) {
  const EncoderStepProblem p({.rows = 13,
                              .width = 100,
                              .heads = 3,
                              .query_width = kWidth,
                              .value_width = kOutWidth,
                              .hidden = 130,
                              .rule = rule},
                             dtype, storage);
  p.run();
  Outputs outputs{p.out};
  for (const kernels::StepState& state : p.states) {
    outputs.insert(outputs.end(), {state.first, state.second});
  }
  return outputs;
}

Outputs linear(DType dtype, bool backward) {
  const Problem p(dtype);
  auto args = forward_args<kernels::LinearAttentionForwardArgs>(p);
  args.inverse_sum = p.per_position;
  args.sum = p.sum;
  args.key_sum = p.key_sum;
  run(&Table::linear_attention_forward, kCpu, args);
  if (!backward) return {p.out, p.per_position, p.sum, p.key_sum};
  auto back = backward_args<kernels::LinearAttentionBackwardArgs>(p);
  back.inverse_sum = p.per_position;
  back.sum = p.sum;
  back.key_sum = p.key_sum;
  run(&Table::linear_attention_backward, kCpu, back);
  return {p.grad_query, p.grad_key, p.grad_value};
}

Outputs softmax(DType dtype, bool backward) {
  const Problem p(dtype);
  const auto choose = [](auto& args) {
    args.scale = 0.3;
    args.causal = true;
    args.dropout = 0.2;
    args.address = {7, site_of("kernel_calls"), 3};
  };
  auto args = forward_args<kernels::SoftmaxAttentionForwardArgs>(p);
  choose(args);
  args.log_sum_exp = p.per_position;
  run(&Table::softmax_attention_forward, kCpu, args);
  if (!backward) return {p.out, p.per_position};
  auto back = backward_args<kernels::SoftmaxAttentionBackwardArgs>(p);
  choose(back);
  back.log_sum_exp = p.per_position;
  run(&Table::softmax_attention_backward, kCpu, back);
  return {p.grad_query, p.grad_key, p.grad_value};
}

constexpr std::int64_t kRounds = 3, kBits = 21;

struct LshOrder {
  LshOrder(const Problem& p, DType dtype)
      : planes(uniform_tensor({kRounds, kWidth, kBits}, dtype, "planes")),
        buckets(Tensor::empty({p.query.size(0), p.query.size(2), kRounds, p.query.size(1)},
                              DType::i32, kCpu)),
        order(Tensor::empty(buckets.shape(), DType::i32, kCpu)) {
    run(&Table::lsh_order, kCpu,
        {.query = p.query,
         .planes = planes,
         .lengths = p.lengths,
         .buckets = buckets,
         .order = order});
  }

  Tensor planes, buckets, order;
};

Outputs lsh_order(DType dtype) {
  const LshOrder result(Problem(dtype), dtype);
  return {result.buckets, result.order};
}

Outputs lsh(DType dtype, bool backward) {
  const Problem p(dtype);
  const LshOrder by(p, dtype);
  const kernels::LshAttentionOptions options{.chunk = 29,
                                             .scale = 0.3,
                                             .causal = true,
                                             .dropout = 0.2,
                                             .address = {7, site_of("kernel_calls"), 3}};
  run(&Table::lsh_attention_forward, kCpu,
      {.query = p.query,
       .value = p.value,
       .lengths = p.lengths,
       .order = by.order,
       .options = options,
       .out = p.out});
  if (!backward) return {p.out};
  run(&Table::lsh_attention_backward, kCpu,
      {.query = p.query,
       .value = p.value,
       .lengths = p.lengths,
       .order = by.order,
       .options = options,
       .grad_out = p.grad_out,
       .grad_query = p.grad_query,
       .grad_value = p.grad_value,
       .beta_query = 1,
       .beta_value = 1});
  return {p.grad_query, p.grad_value};
}

}  // namespace

std::vector<KernelCall> attention_calls() {
  using D = DType;
  return {
      {"causal_linear_attention_forward", "", [](D d) { return causal_linear(d, false); }},
      {"causal_linear_attention_backward", "", [](D d) { return causal_linear(d, true); }},
      {"causal_linear_attention_forward", "few heads",
       [](D d) {
         return causal_linear(d, false, {1, 2100, 1});
       }},
      {"causal_linear_attention_backward", "few heads",
       [](D d) {
         return causal_linear(d, true, {1, 2100, 1});
       }},
      {"pack_weight", "", pack_weight},
      {"encoder_step", "linear", [](D d) { return step(d, {}, d); }},
      {"encoder_step", "softmax", [](D d) { return step(d, kSoftmaxRule, d); }},
      {"encoder_step", "bf16", [](D d) { return step(d, {}, d == D::f32 ? D::bf16 : d); }},
      {"linear_attention_forward", "", [](D d) { return linear(d, false); }},
      {"linear_attention_backward", "", [](D d) { return linear(d, true); }},
      {"softmax_attention_forward", "", [](D d) { return softmax(d, false); }},
      {"softmax_attention_backward", "", [](D d) { return softmax(d, true); }},
      {"lsh_order", "", lsh_order},
      {"lsh_attention_forward", "", [](D d) { return lsh(d, false); }},
      {"lsh_attention_backward", "", [](D d) { return lsh(d, true); }},
  };
}

}  // namespace tarn::test
