// Attention by locality-sensitive hashing, the Reformer baseline of the paper: queries are their
// own keys, and a position sees its chunk of the positions sorted by hash and the chunk before
// (autograd/lsh_attention.h). Training draws other planes in each step, evaluation always the same.
// Which earlier positions are in reach depends on the hashes of later ones, under a causal mask
// too, so there is no recurrent form.
#pragma once

#include "nn/attention/attention.h"

namespace tarn::nn {

class LshAttention : public Attention {
 public:
  LshAttention(const Build& build, const AttentionOptions& options);
  bool reads_keys() const override { return false; }
  Tensor forward(const ad::Heads& heads, const AttentionMask& mask,
                 const Pass& pass) const override;

 private:
  LshOptions options_;
  double scale_;
  double dropout_;
};

}  // namespace tarn::nn
