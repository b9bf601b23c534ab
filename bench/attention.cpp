// The paper's Figure 1: cost against length, forward and backward, the batch shrinking as the
// length grows. A kernel whose check against the f64 reference fails is not timed.
#include "nn/attention/attention.h"

#include <charconv>

#include "autograd/tape.h"
#include "bench/bench.h"
#include "bench/naive.h"
#include "core/allocator.h"
#include "core/transfer.h"
#include "kernels/backend.h"
#include "nn/init.h"
#include "train/run/progress.h"

namespace tarn::bench {
namespace {

struct Problem {
  std::int64_t batch, length, heads, width;
  Device device = Device::cpu();
  Shape shape() const { return {batch, length, heads, width}; }
};

Tensor random_heads(const Problem& problem, const char* name, DType dtype) {
  return nn::initialise(nn::Init::normal(1), problem.shape(), {1, site_of(name), 0}, dtype,
                        problem.device);
}

std::unique_ptr<nn::Attention> make_attention(const std::string& kind, const Problem& problem,
                                              DType dtype) {
  nn::AttentionOptions options{.shape = {problem.heads, problem.width, problem.width}};
  if (lsh_rounds(kind) > 0) options.lsh.rounds = lsh_rounds(kind);
  return nn::make_attention(lsh_rounds(kind) > 0 ? "lsh" : kind,
                            {.path = "bench", .dtype = dtype, .device = problem.device}, options);
}

// One attention with its inputs; f64 is the reference of f32, checked itself by the tests.
struct Case {
  Case(const std::string& kind, const Problem& problem, DType dtype)
      : attention(make_attention(kind, problem, dtype)),
        query("query", ad::unary(random_heads(problem, "query", dtype), attention->feature_map())),
        key("key", ad::unary(random_heads(problem, "key", dtype), attention->feature_map())),
        value("value", random_heads(problem, "value", dtype)),
        grad_out(random_heads(problem, "grad_out", dtype)),
        mask{kind != "linear", {}} {}

  Tensor forward() {
    return attention->forward({query.tensor(), key.tensor(), value.tensor()}, mask, {});
  }
  Tensor forward_and_backward() {
    ad::Tape tape;
    Tensor out;
    {
      const ad::Recording recording = tape.record();
      out = forward();
    }
    tape.backward_taking(out, grad_out);  // attention leaves it as it is
    for (ad::Parameter* p : {&query, &key, &value}) p->clear_grad();
    return out;
  }

  std::unique_ptr<nn::Attention> attention;
  ad::Parameter query, key, value;
  Tensor grad_out;
  nn::AttentionMask mask;
};

void check(const std::string& kind, const Problem& like) {
  const Problem problem{1, 300, like.heads, like.width, like.device};
  Case fast(kind, problem, DType::f32), exact(kind, problem, DType::f64);
  const Tensor out = fast.forward_and_backward();
  std::vector<double> errors{relative_error(out, exact.forward_and_backward()),
                             relative_error(fast.query.grad(), exact.query.grad()),
                             relative_error(fast.value.grad(), exact.value.grad())};
  if (fast.attention->reads_keys()) {
    errors.push_back(relative_error(fast.key.grad(), exact.key.grad()));
  }
  for (const double error : errors) {
    TARN_CHECK(error < 1e-4, "bench attention: ", kind, " differs from its f64 reference by ",
               error, " of the largest value; it is not timed");
  }
}

// Operations a forward pass, as the paper counts them: causal softmax sees half of the pairs, a
// round of lsh two chunks, whichever of them the mask leaves.
double forward_flops(const std::string& kind, const Problem& p) {
  const double heads = static_cast<double>(p.batch * p.heads);
  const double width = static_cast<double>(p.width), length = static_cast<double>(p.length);
  if (const auto rounds = static_cast<double>(lsh_rounds(kind)); rounds > 0) {
    return 8 * heads * length * rounds * static_cast<double>(nn::LshOptions().chunk) * width;
  }
  return kind == "full" ? 2 * heads * length * length * width : 4 * heads * length * width * width;
}

struct NaiveSeconds {
  double forward, backward;
};

// The paper's loop on one thread, over the same number of positions.
NaiveSeconds time_naive(const Problem& p) {
  const Problem by_head{p.batch * p.heads, p.length, 1, p.width};
  const Tensor q = random_heads(by_head, "query", DType::f32),
               k = random_heads(by_head, "key", DType::f32),
               v = random_heads(by_head, "value", DType::f32),
               g = random_heads(by_head, "grad_out", DType::f32);
  const Tensor out = Tensor::empty_like(q), gq = Tensor::empty_like(q), gk = Tensor::empty_like(q),
               gv = Tensor::empty_like(q);
  const Tensor den = Tensor::zeros({by_head.batch, p.length}, DType::f32, Device::cpu());
  return {median_seconds(
              Device::cpu(),
              [&] {
                naive_forward(by_head.batch, p.length, p.width, q.data<float>(), k.data<float>(),
                              v.data<float>(), out.mutable_data<float>(),
                              den.mutable_data<float>());
              },
              3),
          median_seconds(
              Device::cpu(),
              [&] {
                naive_backward(by_head.batch, p.length, p.width, q.data<float>(), k.data<float>(),
                               v.data<float>(), g.data<float>(), den.data<float>(),
                               gq.mutable_data<float>(), gk.mutable_data<float>(),
                               gv.mutable_data<float>());
              },
              3)};
}

void time_case(const std::string& kind, const Problem& problem, Report& report) {
  Allocator& memory = allocator(problem.device);
  Case timed(kind, problem, DType::f32);
  const std::int64_t inputs = memory.stats().live;
  memory.reset_peak();
  const double forward = median_seconds(problem.device, [&] { timed.forward(); });
  const double both = median_seconds(problem.device, [&] { timed.forward_and_backward(); });
  const std::int64_t peak = memory.stats().peak - inputs;
  const bool by_naive = kind == "causal-linear" && problem.device == Device::cpu();
  const NaiveSeconds naive = by_naive ? time_naive(problem) : NaiveSeconds{0, 0};
  const auto add = [&](const char* pass, double seconds, double flops, double naive_seconds) {
    Row row{{"bench", "attention"},   {"kind", kind},
            {"pass", pass},           {"n", problem.length},
            {"d", problem.width},     {"heads", problem.heads},
            {"batch", problem.batch}, {"threads", kernels::cpu_backend().threads},
            {"ms", seconds * 1e3},    {"gflops", flops / seconds / 1e9},
            {"peak_bytes", peak}};
    if (naive_seconds > 0) row.push_back({"ratio_naive", naive_seconds / seconds});
    report.add(row);
  };
  const double flops = forward_flops(kind, problem);
  add("forward", forward, flops, naive.forward);
  // Both count five products backward for two forward.
  add("backward", both - forward, 2.5 * flops, naive.backward);
}

}  // namespace

std::int64_t lsh_rounds(const std::string& kind) {
  if (kind.rfind("lsh", 0) != 0) return 0;
  if (kind == "lsh") return nn::LshOptions().rounds;
  std::int64_t rounds = 0;
  const auto [end, error] = std::from_chars(kind.data() + 4, kind.data() + kind.size(), rounds);
  TARN_CHECK_AS(ConfigError, kind[3] == '-' && error == std::errc() && *end == 0 && rounds > 0,
                "--kinds: \"", kind, "\" must be lsh or lsh-N with N rounds");
  return rounds;
}

void attention(const AttentionOptions& options, Report& report) {
  const Device device = parse_device(options.device);
  train::announce(device);
  for (const std::string& kind : options.kinds) {
    check(kind, {1, 1, options.heads, options.head_dim, device});
    for (const std::int64_t length : options.lengths) {
      if (kind == "full" && length > options.softmax_limit) continue;
      const std::int64_t batch = std::max<std::int64_t>(1, options.positions / length);
      time_case(kind, {batch, length, options.heads, options.head_dim, device}, report);
    }
  }
}

}  // namespace tarn::bench
