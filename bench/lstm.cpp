// The bidirectional LSTM against length, beside the rate of the products that it consists of. A
// model whose check against its f64 reference fails is not timed.
#include "nn/lstm.h"

#include "autograd/tape.h"
#include "bench/bench.h"
#include "kernels/backend.h"

namespace tarn::bench {
namespace {

struct LstmProblem {
  nn::BiLstmOptions model;
  std::int64_t batch, frames;
};

Tensor random_rows(const LstmProblem& problem, std::int64_t width, const char* name, DType dtype) {
  return nn::initialise(nn::Init::normal(1), {problem.batch, problem.frames, width},
                        {1, site_of(name), 0}, dtype, Device::cpu());
}

// The model with an input; f64 is the reference of f32, checked itself by the tests.
struct LstmCase {
  LstmCase(const LstmProblem& problem, DType dtype)
      : model({.path = "bench", .dtype = dtype}, problem.model),
        x(random_rows(problem, problem.model.input, "x", dtype)),
        grad_out(random_rows(problem, 2 * problem.model.hidden, "grad_out", dtype)) {}

  Tensor forward() { return model.forward(x, {}, {}); }
  Tensor forward_and_backward() {
    ad::Tape tape;
    Tensor out;
    {
      const ad::Recording recording = tape.record();
      out = forward();
    }
    tape.backward(out, grad_out);
    for (ad::Parameter* p : model.parameters()) p->clear_grad();
    return out;
  }

  nn::BiLstm model;
  Tensor x, grad_out;
};

void check(const nn::BiLstmOptions& model) {
  const LstmProblem problem{model, 2, 50};
  LstmCase fast(problem, DType::f32), exact(problem, DType::f64);
  double error = relative_error(fast.forward_and_backward(), exact.forward_and_backward());
  const auto parameters = fast.model.parameters(), expected = exact.model.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    error = std::max(error, relative_error(parameters[i]->grad(), expected[i]->grad()));
  }
  TARN_CHECK(error < 1e-4, "bench lstm: it differs from its f64 reference by ", error,
             " of the largest value; it is not timed");
}

std::int64_t layer_input(const nn::BiLstmOptions& model, std::int64_t layer) {
  return layer == 0 ? model.input : 2 * model.hidden;
}

// Operations of the products of one forward pass, which are nearly all of them.
double forward_flops(const LstmProblem& p) {
  double weights = 0;
  for (std::int64_t layer = 0; layer < p.model.layers; ++layer) {
    weights +=
        static_cast<double>(8 * p.model.hidden * (layer_input(p.model, layer) + p.model.hidden));
  }
  return 2 * weights * static_cast<double>(p.batch * p.frames);
}

// The rate of the same products, forward and backward, over all frames at once.
double products_rate(const LstmProblem& p) {
  const std::int64_t rows = p.batch * p.frames, gates = 4 * p.model.hidden;
  double seconds = 0;
  for (std::int64_t layer = 0; layer < p.model.layers; ++layer) {
    seconds += 2 * linear_layer_seconds(rows, layer_input(p.model, layer), gates);
    seconds += 2 * linear_layer_seconds(rows, p.model.hidden, gates);
  }
  return 3 * forward_flops(p) / seconds / 1e9;
}

void time_lstm(const LstmProblem& problem, Report& report) {
  LstmCase timed(problem, DType::f32);
  const double forward = median_seconds(Device::cpu(), [&] { timed.forward(); });
  const double both = median_seconds(Device::cpu(), [&] { timed.forward_and_backward(); });
  const double gemm_rate = products_rate(problem);
  const auto add = [&](const char* pass, double seconds, double flops) {
    const double rate = flops / seconds / 1e9;
    report.add({{"bench", "lstm"},
                {"frames", problem.frames},
                {"batch", problem.batch},
                {"pass", pass},
                {"threads", kernels::cpu_backend().threads},
                {"ms", seconds * 1e3},
                {"gflops", rate},
                {"gemm_gflops", gemm_rate},
                {"share_of_gemm", rate / gemm_rate}});
  };
  const double flops = forward_flops(problem);
  // Nobody wants the gradient of the frames themselves.
  const double backward =
      2 * flops - 16.0 * static_cast<double>(problem.batch * problem.frames * problem.model.hidden *
                                             problem.model.input);
  add("forward", forward, flops);
  add("backward", both - forward, backward);
  add("both", both, flops + backward);
}

}  // namespace

void lstm(const LstmOptions& options, Report& report) {
  const nn::BiLstmOptions model{
      .input = options.input, .hidden = options.hidden, .layers = options.layers};
  check(model);
  for (const std::int64_t frames : options.frames) {
    time_lstm({model, options.batch, frames}, report);
  }
}

}  // namespace tarn::bench
