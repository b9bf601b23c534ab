// The part of attention between the projections of an attention layer, over split heads.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "autograd/encoder_step.h"
#include "autograd/heads.h"
#include "autograd/unary.h"
#include "core/io/safetensors.h"
#include "nn/module.h"

namespace tarn::nn {

// Which keys a query may see.
struct AttentionMask {
  bool causal = false;  // query l sees keys up to and including l
  Tensor lengths;       // i32 [N], or undefined: keys at or past a sequence's length are not seen
};

// What an attention remembers of the positions that it has seen: linear attention its sums, softmax
// attention its keys and values. A plain value; copy() is a deep one.
struct AttentionState {
  NamedTensors tensors;       // by the names that a file of the state uses
  std::int64_t position = 0;  // how many positions it has seen

  const Tensor& tensor(std::size_t index) const { return tensors.at(index).second; }
  AttentionState copy() const;
};

// Sizes of one attention.
struct HeadShape {
  std::int64_t heads = 0, query_width = 0, value_width = 0;

  std::int64_t qkv_width() const { return heads * (2 * query_width + value_width); }
};

// Attention by hashing: each of some rounds sorts the positions into 2 * bits buckets and cuts that
// order into chunks.
struct LshOptions {
  std::int64_t rounds = 4, bits = 32, chunk = 32;
  bool masked = true;  // a position sees itself only where it may see nothing else
};

struct AttentionOptions {
  HeadShape shape;
  std::string_view feature_map = "elu+1";  // linear kinds
  double dropout = 0;                      // softmax kinds: of the weights, in training
  double scale = 0;                        // softmax kinds; 0: 1 / sqrt(query_width)
  LshOptions lsh = {};                     // "lsh"
};

class Attention : public Module {
 public:
  // What queries and keys are passed through, element by element, before forward() and prefill()
  // see them: the feature map of the linear kinds, done with the projection (paper, section 3.2).
  virtual ad::Unary feature_map() const { return ad::Unary::identity; }

  // Whether forward() reads heads.key; otherwise it may be undefined.
  virtual bool reads_keys() const { return true; }

  virtual Tensor forward(const ad::Heads& heads, const AttentionMask& mask,
                         const Pass& pass) const = 0;  // [N, L, H, M]

  // The attention as a recurrence: a state for `batch` sequences of up to `capacity` positions, and
  // how one position of each moves it on. Kinds that cannot be run so throw.
  virtual AttentionState start(std::int64_t batch, std::int64_t capacity) const;
  virtual ad::StepRule step_rule() const;
  // forward() of the first L positions at once, the mask causal, which leaves the state as L steps
  // do, to rounding. Throws unless the state is at position 0.
  virtual Tensor prefill(const ad::Heads& heads, AttentionState& state) const;

 protected:
  Attention(const Build& build, std::string_view kind) : Module(build), kind_(kind) {}
  std::string_view kind() const { return kind_; }
  // That the state has seen no position yet.
  void check_prefill(const AttentionState& state) const;

 private:
  [[noreturn]] void refuse_steps() const;

  std::string_view kind_;
};

// The kinds by name, in one table (registry.cpp): "full", "linear", "causal-linear",
// "lsh".
std::vector<std::string_view> attention_kinds();
// Throws ConfigError that lists the kinds when there is none of this name.
std::unique_ptr<Attention> make_attention(std::string_view kind, const Build& build,
                                          const AttentionOptions& options);

}  // namespace tarn::nn
