#include <string>

#include "core/transfer.h"
#include "nn/attention/attention.h"
#include "nn/attention/causal_linear_attention.h"
#include "nn/attention/linear_attention.h"
#include "nn/attention/lsh_attention.h"
#include "nn/attention/softmax_attention.h"

namespace tarn::nn {
namespace {

template <class A>
std::unique_ptr<Attention> make(const Build& build, const AttentionOptions& options) {
  return std::make_unique<A>(build, options);
}

struct Kind {
  std::string_view name;
  std::unique_ptr<Attention> (*make)(const Build& build, const AttentionOptions& options);
};

constexpr Kind kKinds[] = {
    {"full", make<SoftmaxAttention>},
    {"linear", make<LinearAttention>},
    {"causal-linear", make<CausalLinearAttention>},
    {"lsh", make<LshAttention>},
};

}  // namespace

std::vector<std::string_view> attention_kinds() {
  std::vector<std::string_view> names;
  for (const Kind& kind : kKinds) names.push_back(kind.name);
  return names;
}

std::unique_ptr<Attention> make_attention(std::string_view kind, const Build& build,
                                          const AttentionOptions& options) {
  std::string known;
  for (const Kind& entry : kKinds) {
    if (entry.name == kind) return entry.make(build, options);
    known += known.empty() ? "" : ", ";
    known += entry.name;
  }
  fail<ConfigError>("\"", kind, "\" is not a kind of attention; there are ", known);
}

AttentionState AttentionState::copy() const {
  AttentionState out{{}, position};
  for (const auto& [name, tensor] : tensors) {
    out.tensors.emplace_back(name, copy_to(tensor, tensor.device()));
  }
  return out;
}

void Attention::refuse_steps() const {
  fail<ConfigError>("attention \"", kind_,
                    "\" cannot be run step by step; causal-linear and full can");
}

AttentionState Attention::start(std::int64_t /*batch*/, std::int64_t /*capacity*/) const {
  refuse_steps();
}

ad::StepRule Attention::step_rule() const { refuse_steps(); }

Tensor Attention::prefill(const ad::Heads& /*heads*/, AttentionState& /*state*/) const {
  refuse_steps();
}

void Attention::check_prefill(const AttentionState& state) const {
  TARN_CHECK(state.position == 0, "attention \"", kind_,
             "\": a prefix is prefilled into a state at ", "position 0; this one is at ",
             state.position);
}

}  // namespace tarn::nn
