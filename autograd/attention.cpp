#include "autograd/attention.h"

#include "kernels/attention.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

void check_heads(const char* op, const Tensor& query, const Tensor& key, const Tensor& value,
                 const Tensor& lengths) {
  TARN_CHECK_SHAPE(query.rank() == 4 && key.rank() == 4 && value.rank() == 4, op, ": query ",
                   query.shape(), ", key ", key.shape(), " and value ", value.shape(),
                   " must be [N, L, H, width]");
  TARN_CHECK_SHAPE(
      query.size(0) == key.size(0) && query.size(2) == key.size(2) && query.size(3) == key.size(3),
      op, ": query ", query.shape(), " and key ", key.shape(),
      " must agree in batch, heads and width");
  TARN_CHECK_SHAPE(
      key.size(0) == value.size(0) && key.size(1) == value.size(1) && key.size(2) == value.size(2),
      op, ": key ", key.shape(), " and value ", value.shape(),
      " must agree in batch, length and heads");
  for (const Tensor* x : {&query, &key, &value}) {
    TARN_CHECK_SHAPE(x->size(3) == 1 || x->strides()[3] == 1, op, ": the last dimension of ",
                     x->shape(), " must be contiguous");
  }
  TARN_CHECK_SHAPE(
      !lengths.defined() || (lengths.shape() == Shape{query.size(0)} && lengths.is_contiguous()),
      op, ": lengths ", lengths.shape(), " must be [", query.size(0), "] and contiguous");
}

Tensor output_of(const Tensor& query, const Tensor& value) {
  return Tensor::empty({query.size(0), query.size(1), query.size(2), value.size(3)}, query.dtype(),
                       query.device());
}

Tensor per_position(const Tensor& query) {
  return Tensor::empty({query.size(0), query.size(2), query.size(1)}, query.dtype(),
                       query.device());
}

// The gradients of query, key and value, in one place. The kernels write all three or none: where
// only some are wanted, the others go to memory that is dropped.
struct Targets {
  Targets(InputGrads& inputs, const Tensor& q, const Tensor& k, const Tensor& v)
      : query(inputs.target(0)), key(inputs.target(1)), value(inputs.target(2)) {
    if (!query.tensor.defined()) query.tensor = Tensor::empty_like(q);
    if (!key.tensor.defined()) key.tensor = Tensor::empty_like(k);
    if (!value.tensor.defined()) value.tensor = Tensor::empty_like(v);
  }
  GradTarget query, key, value;
};

class CausalLinear final : public Node {
 public:
  CausalLinear(Tensor query, Tensor key, Tensor value, Tensor lengths, Tensor out,
               Tensor inverse_sum)
      : query_(std::move(query)),
        key_(std::move(key)),
        value_(std::move(value)),
        lengths_(std::move(lengths)),
        out_(std::move(out)),
        inverse_sum_(std::move(inverse_sum)) {}
  const char* name() const override { return "causal_linear_attention"; }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const Targets to(inputs, query_, key_, value_);
    kernels::run(&Table::causal_linear_backward, query_.device(),
                 {.query = query_,
                  .key = key_,
                  .value = value_,
                  .lengths = lengths_,
                  .out = out_,
                  .inverse_sum = inverse_sum_,
                  .grad_out = grad_out,
                  .grad_query = to.query.tensor,
                  .grad_key = to.key.tensor,
                  .grad_value = to.value.tensor,
                  .beta_query = to.query.beta,
                  .beta_key = to.key.beta,
                  .beta_value = to.value.beta});
  }

 private:
  Tensor query_, key_, value_, lengths_, out_, inverse_sum_;
};

class LinearAttention final : public Node {
 public:
  LinearAttention(Tensor query, Tensor key, Tensor value, Tensor lengths, Tensor out,
                  Tensor inverse_sum, Tensor sum, Tensor key_sum)
      : query_(std::move(query)),
        key_(std::move(key)),
        value_(std::move(value)),
        lengths_(std::move(lengths)),
        out_(std::move(out)),
        inverse_sum_(std::move(inverse_sum)),
        sum_(std::move(sum)),
        key_sum_(std::move(key_sum)) {}
  const char* name() const override { return "linear_attention"; }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const Targets to(inputs, query_, key_, value_);
    kernels::run(&Table::linear_attention_backward, query_.device(),
                 {.query = query_,
                  .key = key_,
                  .value = value_,
                  .lengths = lengths_,
                  .out = out_,
                  .inverse_sum = inverse_sum_,
                  .sum = sum_,
                  .key_sum = key_sum_,
                  .grad_out = grad_out,
                  .grad_query = to.query.tensor,
                  .grad_key = to.key.tensor,
                  .grad_value = to.value.tensor,
                  .beta_query = to.query.beta,
                  .beta_key = to.key.beta,
                  .beta_value = to.value.beta});
  }

 private:
  Tensor query_, key_, value_, lengths_, out_, inverse_sum_, sum_, key_sum_;
};

class SoftmaxAttention final : public Node {
 public:
  SoftmaxAttention(Tensor query, Tensor key, Tensor value, Tensor lengths,
                   const SoftmaxOptions& options, Tensor out, Tensor log_sum_exp)
      : query_(std::move(query)),
        key_(std::move(key)),
        value_(std::move(value)),
        lengths_(std::move(lengths)),
        options_(options),
        out_(std::move(out)),
        log_sum_exp_(std::move(log_sum_exp)) {}
  const char* name() const override { return "softmax_attention"; }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const Targets to(inputs, query_, key_, value_);
    kernels::run(&Table::softmax_attention_backward, query_.device(),
                 {.query = query_,
                  .key = key_,
                  .value = value_,
                  .lengths = lengths_,
                  .scale = options_.scale,
                  .causal = options_.causal,
                  .dropout = options_.dropout,
                  .address = options_.address,
                  .out = out_,
                  .log_sum_exp = log_sum_exp_,
                  .grad_out = grad_out,
                  .grad_query = to.query.tensor,
                  .grad_key = to.key.tensor,
                  .grad_value = to.value.tensor,
                  .beta_query = to.query.beta,
                  .beta_key = to.key.beta,
                  .beta_value = to.value.beta});
  }

 private:
  Tensor query_, key_, value_, lengths_;
  SoftmaxOptions options_;
  Tensor out_, log_sum_exp_;
};

}  // namespace

Tensor causal_linear_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                               const Tensor& lengths, double eps) {
  check_heads("causal_linear_attention", query, key, value, lengths);
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
  return recorded<CausalLinear>(out, {&query, &key, &value}, query, key, value, lengths, out,
                                inverse_sum);
}

Tensor linear_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                        const Tensor& lengths, double eps) {
  check_heads("linear_attention", query, key, value, lengths);
  const std::int64_t batch = query.size(0), heads = query.size(2), width = query.size(3);
  Tensor out = output_of(query, value);
  const Tensor inverse_sum = per_position(query);
  const Tensor sum =
      Tensor::empty({batch, heads, width, value.size(3)}, query.dtype(), query.device());
  const Tensor key_sum = Tensor::empty({batch, heads, width}, query.dtype(), query.device());
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
  return recorded<LinearAttention>(out, {&query, &key, &value}, query, key, value, lengths, out,
                                   inverse_sum, sum, key_sum);
}

Tensor softmax_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                         const Tensor& lengths, const SoftmaxOptions& options) {
  check_heads("softmax_attention", query, key, value, lengths);
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
  return recorded<SoftmaxAttention>(out, {&query, &key, &value}, query, key, value, lengths,
                                    options, out, log_sum_exp);
}

}  // namespace tarn::ad
