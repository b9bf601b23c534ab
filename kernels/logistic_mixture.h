// The discretized mixture of logistics of PixelCNN++ (Salimans et al., 2017), for values of 8 bits
// scaled to [-1, 1]. A row of parameters is K logits, K means and K log-scales, the last no less
// than -7. A component gives a value the logistic mass of the 2/255 around it, and all that is
// beyond to the two outermost values; where an inner value's mass is below 1e-5, the density in the
// middle times the width stands for it.
//
// totals[0] = sum over rows of -log p(target), in nats; totals[1] = rows; loss = totals[0] /
// totals[1]. parameters: contiguous [rows, 3 K], f32 or f64; targets f32 [rows]; totals f64 [2];
// loss a scalar of the parameters' dtype. Every finite input gives finite results.
#pragma once

#include "core/tensor.h"

namespace tarn::kernels {

struct LogisticMixtureForwardArgs {
  Tensor parameters, targets, totals, loss;
  Tensor gradient;  // d loss / d parameters, like parameters; undefined: not wanted
};

// grad_parameters = beta * grad_parameters + grad_loss * gradient.
struct LogisticMixtureBackwardArgs {
  Tensor gradient, grad_loss, grad_parameters;
  double beta = 0;
};

}  // namespace tarn::kernels
