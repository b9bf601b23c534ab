#include "autograd/embedding.h"

#include "autograd/check.h"
#include "kernels/embedding.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

class Embedding final : public Node {
 public:
  explicit Embedding(Tensor tokens) : tokens_(std::move(tokens)) {}
  const char* name() const override { return "embedding"; }
  std::vector<SavedTensor> saved() const override { return {{"tokens", tokens_}}; }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const auto [grad_weight, beta] = inputs.target(0);
    kernels::run(
        &Table::embedding_backward, grad_out.device(),
        {.tokens = tokens_, .grad_out = grad_out, .grad_weight = grad_weight, .beta = beta});
  }

 private:
  Tensor tokens_;
};

}  // namespace

Tensor embedding(const Tensor& tokens, const Tensor& weight) {
  const Check check("embedding");
  check.floats({{"weight", weight}});
  check.rank({"weight", weight}, 2, "[vocabulary, width]");
  check.widths({"weight", weight}, 2);
  check.contiguous({{"weight", weight}});
  check.required({{"tokens", tokens}});
  check.integers({"tokens", tokens}, tokens.shape(), weight.device());
  check.range({"tokens", tokens}, 0, weight.size(0) - 1);
  Tensor out = Tensor::empty(tokens.shape().with(weight.size(1)), weight.dtype(), weight.device());
  kernels::run(&Table::embedding_forward, weight.device(),
               {.tokens = tokens, .weight = weight, .out = out});
  return recorded<Embedding>(out, {&weight}, tokens);
}

}  // namespace tarn::ad
