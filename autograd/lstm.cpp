#include "autograd/lstm.h"

#include <array>

#include "autograd/check.h"
#include "autograd/gemm.h"
#include "autograd/views.h"
#include "kernels/copy.h"
#include "kernels/lstm.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

class BiLstm final : public Node {
 public:
  BiLstm(Tensor x, Tensor lengths, const LstmWeights& forward, const LstmWeights& reverse,
         Tensor gates, Tensor cells, Tensor out)
      : x_(std::move(x)),
        lengths_(std::move(lengths)),
        weights_{forward, reverse},
        gates_(std::move(gates)),
        cells_(std::move(cells)),
        out_(std::move(out)) {}
  const char* name() const override { return "bi_lstm"; }
  std::vector<SavedTensor> saved() const override {
    return {{"x", x_},
            {"lengths", lengths_},
            {"forward.input", weights_[0].input},
            {"forward.recurrent", weights_[0].recurrent},
            {"reverse.input", weights_[1].input},
            {"reverse.recurrent", weights_[1].recurrent},
            {"out", out_}};
  }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const Tensor previous = Tensor::empty_like(cells_);
    kernels::run(&Table::lstm_backward, out_.device(),
                 {.gates = gates_,
                  .weight = weights_[0].recurrent,
                  .reverse = weights_[1].recurrent,
                  .lengths = lengths_,
                  .cells = cells_,
                  .out = out_,
                  .grad_out = grad_out,
                  .previous = previous});
    GradTarget x = inputs.target(0);
    for (std::size_t d = 0; d < 2; ++d) {
      const auto direction = static_cast<std::int64_t>(d);
      const Tensor grad = as_matrix(gates_.select(0, direction));
      if (x.tensor.defined()) {
        run_gemm({.a = grad, .b = weights_[d].input, .out = as_matrix(x.tensor), .beta = x.beta});
        x.beta = 1;
      }
      const std::size_t first = 1 + 4 * d;
      weight_gradient(grad, as_matrix(x_), inputs.target(first));
      weight_gradient(grad, as_matrix(previous.select(0, direction)), inputs.target(first + 1));
      bias_gradients(grad, inputs.target(first + 2), inputs.target(first + 3));
    }
  }

 private:
  static void weight_gradient(const Tensor& grad, const Tensor& rows, const GradTarget& target) {
    if (!target.tensor.defined()) return;
    run_gemm(
        {.a = grad, .b = rows, .out = target.tensor, .transpose_a = true, .beta = target.beta});
  }

  // The two biases are added, so both have the gradient of the sum.
  static void bias_gradients(const Tensor& grad, const GradTarget& input,
                             const GradTarget& recurrent) {
    if (!input.tensor.defined() && !recurrent.tensor.defined()) return;
    const Tensor sums = Tensor::empty({grad.size(1)}, grad.dtype(), grad.device());
    run_epilogue_backward({.grad = grad, .grad_bias = sums});
    for (const GradTarget* target : {&input, &recurrent}) {
      if (target->tensor.defined()) copy_into(sums, target->tensor, target->beta);
    }
  }

  Tensor x_, lengths_;
  std::array<LstmWeights, 2> weights_;
  Tensor gates_, cells_, out_;
};

void check_direction(const Tensor& x, std::int64_t hidden, const LstmWeights& w) {
  const Check check("bi_lstm");
  const Argument input{"input", w.input}, recurrent{"recurrent", w.recurrent};
  const Argument input_bias{"input_bias", w.input_bias};
  const Argument recurrent_bias{"recurrent_bias", w.recurrent_bias};
  check.required({input, recurrent, input_bias, recurrent_bias});
  check.alike({{"x", x}, input, recurrent, input_bias, recurrent_bias});
  check.shape(recurrent, {4 * hidden, hidden});
  check.shape(input, {4 * hidden, x.size(2)});
  check.shape(input_bias, {4 * hidden});
  check.shape(recurrent_bias, {4 * hidden});
  check.contiguous({input, recurrent, input_bias, recurrent_bias});
}

// Returns the width of the hidden state.
std::int64_t check_lstm(const Tensor& x, const Tensor& lengths, const LstmWeights& forward,
                        const LstmWeights& reverse) {
  const Check check("bi_lstm");
  check.floats({{"x", x}});
  check.rank({"x", x}, 3, "[batch, frames, features]");
  check.widths({"x", x});
  check.contiguous({{"x", x}});
  check.lengths({"lengths", lengths}, x.size(0), x.size(1), x.device());
  check.required({{"recurrent", forward.recurrent}});
  check.rank({"recurrent", forward.recurrent}, 2, "[4 hidden, hidden]");
  check.widths({"recurrent", forward.recurrent}, 2);
  const std::int64_t hidden = forward.recurrent.size(1);
  for (const LstmWeights* weights : {&forward, &reverse}) check_direction(x, hidden, *weights);
  return hidden;
}

// What every frame's gates are made of besides the recurrence, in one product.
void input_products(const Tensor& x, const LstmWeights& weights, const Tensor& gates) {
  const Tensor bias = Tensor::empty_like(weights.input_bias);
  copy_into(weights.input_bias, bias, 0);
  copy_into(weights.recurrent_bias, bias, 1);
  run_gemm({.a = as_matrix(x),
            .b = weights.input,
            .out = as_matrix(gates),
            .transpose_b = true,
            .bias = bias});
}

}  // namespace

Tensor bi_lstm(const Tensor& x, const Tensor& lengths, const LstmWeights& forward,
               const LstmWeights& reverse) {
  const std::int64_t hidden = check_lstm(x, lengths, forward, reverse);
  const std::int64_t batch = x.size(0), frames = x.size(1);
  const Tensor gates = Tensor::empty({2, batch, frames, 4 * hidden}, x.dtype(), x.device());
  input_products(x, forward, gates.select(0, 0));
  input_products(x, reverse, gates.select(0, 1));
  const Tensor cells = Tape::active() != nullptr
                           ? Tensor::empty({2, batch, frames, hidden}, x.dtype(), x.device())
                           : Tensor();
  Tensor out = Tensor::empty({batch, frames, 2 * hidden}, x.dtype(), x.device());
  kernels::run(&Table::lstm_forward, x.device(),
               {.gates = gates,
                .weight = forward.recurrent,
                .reverse = reverse.recurrent,
                .lengths = lengths,
                .cells = cells,
                .out = out});
  return recorded<BiLstm>(
      out,
      {&x, &forward.input, &forward.recurrent, &forward.input_bias, &forward.recurrent_bias,
       &reverse.input, &reverse.recurrent, &reverse.input_bias, &reverse.recurrent_bias},
      x, lengths, forward, reverse, gates, cells, out);
}

}  // namespace tarn::ad
