// What the ops of softmax, linear and causal linear attention share: the checks of their heads, and
// the node that they record.
#pragma once

#include <utility>

#include "autograd/check.h"
#include "autograd/heads.h"
#include "autograd/tape.h"
#include "kernels/table.h"

namespace tarn::ad {

// That query, key and value are [N, L, H, width] of one dtype, f32 or f64, agree in their sizes and
// have contiguous rows, and that lengths fit them. Throws what autograd/check.h says.
void check_heads(const char* op, const Heads& heads, const Tensor& lengths);

// The same for what a prefill reads, and that the two tensors of its state are alike with it.
void check_prefill(const char* op, const Heads& heads, const Argument& first,
                   const Argument& second);

Tensor attention_output(const Tensor& query, const Tensor& value);  // [N, L, H, M], uninitialised
Tensor number_per_query(const Tensor& query);                       // [N, H, L], uninitialised

// Where a kernel writes the gradient of an input, and what it multiplies the old one by. The
// kernels of attention write the gradients of all their inputs or of none: one that nobody needs
// goes to memory that is dropped.
inline void set_gradient(const GradTarget& target, const Tensor& input, Tensor& grad,
                         double& beta) {
  grad = target.tensor.defined() ? target.tensor : Tensor::empty_like(input);
  beta = target.beta;
}

// The node of each attention: the arguments of its backward kernel, filled but for the gradients.
template <class Args>
class AttentionNode final : public Node {
 public:
  AttentionNode(const char* name, kernels::Slot<Args> kernels::Table::*kernel, bool qkv, Args args)
      : name_(name), kernel_(kernel), qkv_(qkv), args_(std::move(args)) {}
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
    if (qkv_) {
      const auto [grad, beta] = inputs.target(0);
      const Heads grads =
          Heads::of(grad, args_.query.size(2), args_.query.size(3), args_.value.size(3));
      set_gradient({grads.query, beta}, args_.query, args_.grad_query, args_.beta_query);
      set_gradient({grads.key, beta}, args_.key, args_.grad_key, args_.beta_key);
      set_gradient({grads.value, beta}, args_.value, args_.grad_value, args_.beta_value);
    } else {
      set_gradient(inputs.target(0), args_.query, args_.grad_query, args_.beta_query);
      set_gradient(inputs.target(1), args_.key, args_.grad_key, args_.beta_key);
      set_gradient(inputs.target(2), args_.value, args_.grad_value, args_.beta_value);
    }
    kernels::run(kernel_, grad_out.device(), args_);
  }

 private:
  const char* name_;
  kernels::Slot<Args> kernels::Table::*kernel_;
  bool qkv_;  // the one input is the qkv tensor
  Args args_;
};

template <class Args>
Tensor recorded_attention(const char* name, const Tensor& out, const Heads& heads,
                          kernels::Slot<Args> kernels::Table::*kernel, Args args) {
  if (heads.qkv.defined()) {
    return recorded<AttentionNode<Args>>(out, {&heads.qkv}, name, kernel, true, std::move(args));
  }
  return recorded<AttentionNode<Args>>(out, {&heads.query, &heads.key, &heads.value}, name, kernel,
                                       false, std::move(args));
}

}  // namespace tarn::ad
