// Connectionist temporal classification (Graves et al., 2006): -log of the probability that the
// frames spell the labels, summed over every way to stretch them with repeats and blanks. Class 0
// is the blank; a label that repeats needs a blank between, so an utterance needs as many frames as
// labels and repeats. One that has fewer has an infinite loss, which the mean leaves out.
// logits: contiguous [N, T, C], f32 or f64; log-softmax is part of this. labels i32 [N, S], of
// which the first label_lengths[n] count, each in 1 .. C-1. frame_lengths[n] <= T, label_lengths[n]
// <= S, i32 [N]; frames and labels past them are not read. The sums are in f64 and in log space,
// whatever the logits are.
#pragma once

#include "core/tensor.h"

namespace tarn::kernels {

struct CtcForwardArgs {
  Tensor logits, labels, frame_lengths, label_lengths;
  bool per_label = false;  // an utterance's loss in the mean is divided by its labels, at least 1
  Tensor normalisers;      // f64 [N, T]: log of the sum of exp of a frame's logits
  Tensor alpha;            // f64 [N, T, 2S + 1]: log-probabilities of the beginnings
  Tensor losses;           // f64 [N], before any division
  Tensor totals;           // f64 [2]: sum over what has a finite loss, and how many they are
  Tensor loss;             // totals[0] / totals[1], or 0 if there are none; of the logits' dtype
};

// grad_logits = beta * grad_logits + grad_loss * (d loss / d logits): 0 at frames past the lengths
// and where the loss is infinite.
struct CtcBackwardArgs {
  Tensor logits, labels, frame_lengths, label_lengths;
  bool per_label = false;
  Tensor normalisers, alpha, losses, totals, grad_loss, grad_logits;
  double beta = 0;
};

}  // namespace tarn::kernels
