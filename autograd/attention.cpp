#include "autograd/attention.h"

#include "autograd/check.h"
#include "kernels/attention.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

void check_heads(const char* op, const Heads& heads, const Tensor& lengths) {
  const auto& [query, key, value, joint] = heads;
  const Check check(op);
  check.required({{"query", query}, {"key", key}, {"value", value}});
  check.floats({{"query", query}, {"key", key}, {"value", value}});
  for (const Argument& x : {Argument{"query", query}, {"key", key}, {"value", value}}) {
    check.rank(x, 4, "[N, L, H, width]");
    check.widths(x, 2);
    check.contiguous_rows({x});
  }
  TARN_CHECK_SHAPE(
      query.size(0) == key.size(0) && query.size(2) == key.size(2) && query.size(3) == key.size(3),
      op, ": query ", query.shape(), " and key ", key.shape(),
      " must agree in batch, heads and width");
  TARN_CHECK_SHAPE(
      key.size(0) == value.size(0) && key.size(1) == value.size(1) && key.size(2) == value.size(2),
      op, ": key ", key.shape(), " and value ", value.shape(),
      " must agree in batch, length and heads");
  check.lengths({"lengths", lengths}, query.size(0), key.size(1), query.device());
}

Tensor output_of(const Tensor& query, const Tensor& value) {
  return Tensor::empty({query.size(0), query.size(1), query.size(2), value.size(3)}, query.dtype(),
                       query.device());
}

Tensor per_position(const Tensor& query) {
  return Tensor::empty({query.size(0), query.size(2), query.size(1)}, query.dtype(),
                       query.device());
}

// The node of each attention: the arguments of its backward kernel, filled but for the gradients.
template <class Args>
class AttentionNode final : public Node {
 public:
  AttentionNode(const char* name, kernels::Slot<Args> Table::*kernel, bool joint, Args args)
      : name_(name), kernel_(kernel), joint_(joint), args_(std::move(args)) {}
  const char* name() const override { return name_; }
  std::vector<SavedTensor> saved() const override {
    return {{"query", args_.query},
            {"key", args_.key},
            {"value", args_.value},
            {"lengths", args_.lengths},
            {"out", args_.out}};
  }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    args_.grad_out = grad_out;
    if (joint_) {
      const auto [grad, beta] = inputs.target(0);
      const Heads grads =
          Heads::of(grad, args_.query.size(2), args_.query.size(3), args_.value.size(3));
      aim({grads.query, beta}, args_.query, args_.grad_query, args_.beta_query);
      aim({grads.key, beta}, args_.key, args_.grad_key, args_.beta_key);
      aim({grads.value, beta}, args_.value, args_.grad_value, args_.beta_value);
    } else {
      aim(inputs.target(0), args_.query, args_.grad_query, args_.beta_query);
      aim(inputs.target(1), args_.key, args_.grad_key, args_.beta_key);
      aim(inputs.target(2), args_.value, args_.grad_value, args_.beta_value);
    }
    kernels::run(kernel_, grad_out.device(), args_);
  }

 private:
  // The kernels write all three gradients or none: one that nobody wants goes to memory that is
  // dropped.
  static void aim(const GradTarget& target, const Tensor& input, Tensor& grad, double& beta) {
    grad = target.tensor.defined() ? target.tensor : Tensor::empty_like(input);
    beta = target.beta;
  }

  const char* name_;
  kernels::Slot<Args> Table::*kernel_;
  bool joint_;  // the one input is the joint tensor
  Args args_;
};

template <class Args>
Tensor recorded_attention(const char* name, const Tensor& out, const Heads& heads,
                          kernels::Slot<Args> Table::*kernel, Args args) {
  if (heads.joint.defined()) {
    return recorded<AttentionNode<Args>>(out, {&heads.joint}, name, kernel, true, std::move(args));
  }
  return recorded<AttentionNode<Args>>(out, {&heads.query, &heads.key, &heads.value}, name, kernel,
                                       false, std::move(args));
}

}  // namespace

Heads Heads::of(const Tensor& joint, std::int64_t heads, std::int64_t query_width,
                std::int64_t value_width) {
  const Check check("attention");
  check.floats({{"joint", joint}});
  TARN_CHECK_SHAPE(heads > 0 && query_width > 0 && value_width > 0, "attention: ", heads,
                   " heads of widths ", query_width, " and ", value_width,
                   "; each must be 1 or more");
  const std::int64_t q = heads * query_width, v = heads * value_width;
  TARN_CHECK_SHAPE(joint.rank() == 3 && joint.size(2) == 2 * q + v && joint.is_contiguous(),
                   "attention: ", joint.shape(), " must be [N, L, ", 2 * q + v,
                   "] and contiguous: the queries, keys and values of ", heads, " heads");
  const auto window = [&](std::int64_t first, std::int64_t width) {
    return joint.slice(2, first, heads * width).view({joint.size(0), joint.size(1), heads, width});
  };
  return {window(0, query_width), window(q, query_width), window(2 * q, value_width), joint};
}

Tensor causal_linear_attention(const Heads& heads, const Tensor& lengths, double eps) {
  check_heads("causal_linear_attention", heads, lengths);
  const auto& [query, key, value, joint] = heads;
  TARN_CHECK_SHAPE(query.size(1) == key.size(1), "causal_linear_attention: query ", query.shape(),
                   " and key ", key.shape(), " must have one length");
  Tensor out = output_of(query, value);
  const Tensor inverse_sum = per_position(query);
  kernels::run(&Table::causal_linear_forward, query.device(),
               {.query = query,
                .key = key,
                .value = value,
                .lengths = lengths,
                .eps = eps,
                .out = out,
                .inverse_sum = inverse_sum});
  using Args = kernels::CausalLinearBackwardArgs;
  return recorded_attention("causal_linear_attention", out, heads, &Table::causal_linear_backward,
                            Args{.query = query,
                                 .key = key,
                                 .value = value,
                                 .lengths = lengths,
                                 .out = out,
                                 .inverse_sum = inverse_sum});
}

Tensor linear_attention(const Heads& heads, const Tensor& lengths, double eps) {
  check_heads("linear_attention", heads, lengths);
  const auto& [query, key, value, joint] = heads;
  const std::int64_t batch = query.size(0), count = query.size(2), width = query.size(3);
  Tensor out = output_of(query, value);
  const Tensor inverse_sum = per_position(query);
  const Tensor sum =
      Tensor::empty({batch, count, width, value.size(3)}, query.dtype(), query.device());
  const Tensor key_sum = Tensor::empty({batch, count, width}, query.dtype(), query.device());
  kernels::run(&Table::linear_attention_forward, query.device(),
               {.query = query,
                .key = key,
                .value = value,
                .lengths = lengths,
                .eps = eps,
                .out = out,
                .inverse_sum = inverse_sum,
                .sum = sum,
                .key_sum = key_sum});
  using Args = kernels::LinearAttentionBackwardArgs;
  return recorded_attention("linear_attention", out, heads, &Table::linear_attention_backward,
                            Args{.query = query,
                                 .key = key,
                                 .value = value,
                                 .lengths = lengths,
                                 .out = out,
                                 .inverse_sum = inverse_sum,
                                 .sum = sum,
                                 .key_sum = key_sum});
}

Tensor softmax_attention(const Heads& heads, const Tensor& lengths, const SoftmaxOptions& options) {
  check_heads("softmax_attention", heads, lengths);
  Check("softmax_attention").probability(options.dropout);
  const auto& [query, key, value, joint] = heads;
  Tensor out = output_of(query, value);
  const Tensor log_sum_exp = per_position(query);
  kernels::run(&Table::softmax_attention_forward, query.device(),
               {.query = query,
                .key = key,
                .value = value,
                .lengths = lengths,
                .scale = options.scale,
                .causal = options.causal,
                .dropout = options.dropout,
                .address = options.address,
                .out = out,
                .log_sum_exp = log_sum_exp});
  using Args = kernels::SoftmaxAttentionBackwardArgs;
  return recorded_attention("softmax_attention", out, heads, &Table::softmax_attention_backward,
                            Args{.query = query,
                                 .key = key,
                                 .value = value,
                                 .lengths = lengths,
                                 .scale = options.scale,
                                 .causal = options.causal,
                                 .dropout = options.dropout,
                                 .address = options.address,
                                 .out = out,
                                 .log_sum_exp = log_sum_exp});
}

}  // namespace tarn::ad
