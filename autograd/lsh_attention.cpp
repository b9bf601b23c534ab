#include "autograd/lsh_attention.h"

#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

// Kernels keep positions among their numbers, which f32 can up to here.
constexpr std::int64_t kMaxLength = 1 << 24;

void check_heads(const char* op, const char* name, const Tensor& x, const Tensor& lengths) {
  TARN_CHECK_SHAPE(x.rank() == 4, op, ": ", name, " ", x.shape(), " must be [N, L, H, width]");
  TARN_CHECK_SHAPE(x.size(3) == 1 || x.strides()[3] == 1, op, ": the last dimension of ", name, " ",
                   x.shape(), " must be contiguous");
  TARN_CHECK_SHAPE(x.size(1) <= kMaxLength, op, ": ", name, " ", x.shape(), " has more than ",
                   kMaxLength, " positions");
  TARN_CHECK_SHAPE(
      !lengths.defined() || (lengths.shape() == Shape{x.size(0)} && lengths.is_contiguous()), op,
      ": lengths ", lengths.shape(), " must be [", x.size(0), "] and contiguous");
}

class LshAttentionNode final : public Node {
 public:
  explicit LshAttentionNode(kernels::LshAttentionBackwardArgs args) : args_(std::move(args)) {}
  const char* name() const override { return "lsh_attention"; }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    args_.grad_out = grad_out;
    aim(inputs.target(0), args_.query, args_.grad_query, args_.beta_query);
    aim(inputs.target(1), args_.value, args_.grad_value, args_.beta_value);
    kernels::run(&Table::lsh_attention_backward, grad_out.device(), args_);
  }

 private:
  // The kernel writes both gradients: one that nobody wants goes to memory that is dropped.
  static void aim(const GradTarget& target, const Tensor& input, Tensor& grad, double& beta) {
    grad = target.tensor.defined() ? target.tensor : Tensor::empty_like(input);
    beta = target.beta;
  }

  kernels::LshAttentionBackwardArgs args_;
};

}  // namespace

Tensor lsh_order(const Tensor& query, const Tensor& planes, const Tensor& lengths) {
  check_heads("lsh_order", "query", query, lengths);
  TARN_CHECK_SHAPE(planes.rank() == 3 && planes.size(1) == query.size(3) && planes.size(2) > 0 &&
                       planes.is_contiguous(),
                   "lsh_order: planes ", planes.shape(), " must be [rounds, ", query.size(3),
                   ", planes], contiguous, for query ", query.shape());
  const Shape shape{query.size(0), query.size(2), planes.size(0), query.size(1)};
  Tensor order = Tensor::empty(shape, DType::i32, query.device());
  kernels::run(&Table::lsh_order, query.device(),
               {.query = query,
                .planes = planes,
                .lengths = lengths,
                .buckets = Tensor::empty(shape, DType::i32, query.device()),
                .order = order});
  return order;
}

Tensor lsh_attention(const Tensor& query, const Tensor& value, const Tensor& lengths,
                     const Tensor& order, const LshAttentionOptions& options) {
  check_heads("lsh_attention", "query", query, lengths);
  check_heads("lsh_attention", "value", value, lengths);
  TARN_CHECK_SHAPE(query.shape().without_last() == value.shape().without_last(),
                   "lsh_attention: query ", query.shape(), " and value ", value.shape(),
                   " must agree in batch, length and heads");
  TARN_CHECK_SHAPE(
      order.rank() == 4 && order.size(0) == query.size(0) && order.size(1) == query.size(2) &&
          order.size(2) > 0 && order.size(3) == query.size(1) && order.is_contiguous(),
      "lsh_attention: order ", order.shape(), " must be [", query.size(0), ", ", query.size(2),
      ", rounds, ", query.size(1), "] and contiguous for query ", query.shape());
  TARN_CHECK(options.chunk > 0, "lsh_attention: the chunk is ", options.chunk,
             "; it must be at least 1");
  Tensor out = Tensor::empty(value.shape(), query.dtype(), query.device());
  kernels::run(&Table::lsh_attention_forward, query.device(),
               {.query = query,
                .value = value,
                .lengths = lengths,
                .order = order,
                .options = options,
                .out = out});
  return recorded<LshAttentionNode>(
      out, {&query, &value},
      kernels::LshAttentionBackwardArgs{
          .query = query, .value = value, .lengths = lengths, .order = order, .options = options});
}

}  // namespace tarn::ad
