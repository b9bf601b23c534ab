// Connectionist temporal classification (Graves et al., 2006) as an op: the loss of speech, whose
// labels have no times. Formula and gradient: kernels/ctc.h. Throws ShapeError, DTypeError,
// DeviceError or IndexError that names the argument.
#pragma once

#include "autograd/tape.h"

namespace tarn::ad {

// How an utterance's loss counts in the mean over utterances.
enum class CtcWeight : std::uint8_t {
  whole,      // as it is: long utterances weigh more
  per_label,  // divided by its number of labels, as PyTorch's reduction "mean" does
};

struct Ctc {
  Tensor loss;  // one element: the mean over the utterances with a finite loss, in nats; 0 if none
  Tensor totals;  // f64 [2]: what the mean is of, a sum and how many utterances
  Tensor losses;  // f64 [N]: -log p(labels); infinite where there are fewer frames than labels and
                  // repeats together
};

// logits f32 or f64 [N, T, C], class 0 the blank; labels i32 [N, S], the first label_lengths[n] of
// a row each in 1 .. C-1; frame_lengths <= T and label_lengths <= S, i32 [N]. What is past the
// lengths is not read. An utterance of infinite loss adds nothing to the loss, and its gradient is
// zero. Labels and lengths out of range are an IndexError; on another device than the CPU they make
// `loss`, `totals` and the utterance's loss minus infinity.
Ctc ctc(const Tensor& logits, const Tensor& labels, const Tensor& frame_lengths,
        const Tensor& label_lengths, CtcWeight weight = CtcWeight::whole);

}  // namespace tarn::ad
