#pragma once

#include "autograd/tape.h"

namespace tarn::ad {

// weight[tokens]: tokens i32 [...], each in [0, vocabulary); weight [vocabulary, width]; returns
// [..., width].
Tensor embedding(const Tensor& tokens, const Tensor& weight);

}  // namespace tarn::ad
