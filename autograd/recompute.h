// Memory for time: part of a step is run twice, so that what it would have saved need not be kept.
#pragma once

#include <functional>

#include "autograd/tape.h"

namespace tarn::ad {

// forward(x), of which only x is kept: the backward runs it again, recorded on a tape of its own,
// and goes back through that. The same bits, since ops draw random numbers by address and each
// gradient's sums happen in the order they would have had. `forward` must outlive the backward
// with all it refers to; besides x it may read parameters, and nothing else that stands on a tape.
Tensor recompute(const Tensor& x, std::function<Tensor(const Tensor&)> forward);

}  // namespace tarn::ad
