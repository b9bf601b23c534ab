#include "autograd/lsh_attention.h"

#include "autograd/attention_node.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

// Kernels keep positions among their numbers, which f32 can up to here.
constexpr std::int64_t kMaxLength = 1 << 24;

void check_lsh_heads(const char* op, const Argument& x, const Tensor& lengths) {
  const Check check(op);
  check.floats({x});
  check.heads({x});
  TARN_CHECK_SHAPE(x.tensor.size(1) <= kMaxLength, op, ": ", x.name, " ", x.tensor,
                   " has more than ", kMaxLength, " positions");
  check.lengths({"lengths", lengths}, x.tensor.size(0), x.tensor.size(1), x.tensor.device());
}

class LshAttentionNode final : public Node {
 public:
  explicit LshAttentionNode(kernels::LshAttentionBackwardArgs args) : args_(std::move(args)) {}
  const char* name() const override { return "lsh_attention"; }
  std::vector<SavedTensor> saved() const override {
    return {{"query", args_.query},
            {"value", args_.value},
            {"lengths", args_.lengths},
            {"order", args_.order}};
  }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    args_.grad_out = grad_out;
    set_gradient(inputs.target(0), args_.query, args_.grad_query, args_.beta_query);
    set_gradient(inputs.target(1), args_.value, args_.grad_value, args_.beta_value);
    kernels::run(&Table::lsh_attention_backward, grad_out.device(), args_);
  }

 private:
  kernels::LshAttentionBackwardArgs args_;
};

}  // namespace

Tensor lsh_order(const Tensor& query, const Tensor& planes, const Tensor& lengths) {
  const Check check("lsh_order");
  check_lsh_heads("lsh_order", {"query", query}, lengths);
  check.required({{"planes", planes}});
  check.alike({{"query", query}, {"planes", planes}});
  check.rank({"planes", planes}, 3, "[rounds, width, planes]");
  check.widths({"planes", planes}, 3);
  check.contiguous({{"planes", planes}});
  TARN_CHECK_SHAPE(planes.size(1) == query.size(3), "lsh_order: planes ", planes,
                   " must be [rounds, ", query.size(3), ", planes] for query ", query);
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
  const Check check("lsh_attention");
  check_lsh_heads("lsh_attention", {"query", query}, lengths);
  check_lsh_heads("lsh_attention", {"value", value}, lengths);
  check.alike({{"query", query}, {"value", value}});
  check.probability(options.dropout);
  TARN_CHECK_SHAPE(query.shape().without_last() == value.shape().without_last(),
                   "lsh_attention: query ", query.shape(), " and value ", value.shape(),
                   " must agree in batch, length and heads");
  check.required({{"order", order}});
  check.rank({"order", order}, 4, "[N, H, rounds, L]");
  TARN_CHECK_SHAPE(order.size(2) > 0, "lsh_attention: order ", order, " has no rounds");
  check.integers({"order", order}, {query.size(0), query.size(2), order.size(2), query.size(1)},
                 query.device());
  check.range({"order", order}, 0, query.size(1) - 1);
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
