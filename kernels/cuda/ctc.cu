#include <cmath>

#include "kernels/common/ctc.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/warps.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

// A frame is a warp's.
template <class T>
__global__ void ctc_normalisers(CtcBatch<T> batch) {
  const std::int64_t frame = warp_row();
  if (frame >= batch.count * batch.frames) return;
  const CtcUtterance<T> u(batch, frame / batch.frames);
  const std::int64_t t = frame % batch.frames;
  if (t >= u.frames) return;
  const T* row = u.logits + t * u.classes;
  const double normaliser = log_sum_exp(row, u.classes, index_of_largest(row, u.classes));
  if (lane() == 0) u.normalisers[t] = normaliser;
}

// An utterance is a block's, which goes from frame to frame; each thread has every 256th state.
// Where lengths or labels are out of range the loss is minus infinity, which no probability gives,
// and they are not looked at again.
template <class T>
__global__ void ctc_alpha(CtcBatch<T> batch, double* losses) {
  const std::int64_t n = blockIdx.x;
  const CtcUtterance<T> u(batch, n);
  const bool valid = u.valid(batch), fits = valid && u.fits();
  if (!fits || u.frames == 0) {
    if (threadIdx.x == 0) losses[n] = fits ? 0 : valid ? -kNever : kNever;
    return;
  }
  for (std::int64_t t = 0; t < u.frames; ++t) {
    double* now = u.alpha + t * u.row;
    for (std::int64_t s = threadIdx.x; s < u.states(); s += kThreads) {
      now[s] = u.alpha_of(t, s);
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) losses[n] = u.loss();
}

// One block sums over the batch in a fixed order.
template <class T>
__global__ void ctc_totals(CtcBatch<T> batch, const double* losses, double* totals, T* loss) {
  TARN_SHARED(double[kThreads], sums);
  double sum = 0, finite = 0;
  for (std::int64_t n = threadIdx.x; n < batch.count; n += kThreads) {
    if (losses[n] == -kNever) continue;
    sum += losses[n] * batch.share(n);
    finite += 1;
  }
  sum = block_sum(sum, sums);
  finite = block_sum(finite, sums);
  if (threadIdx.x != 0) return;
  totals[0] = sum;
  totals[1] = finite;
  *loss = static_cast<T>(finite > 0 ? sum / finite : 0);
}

// beta has the shape of alpha; an utterance is a block's again.
template <class T>
__global__ void ctc_beta(CtcBatch<T> batch, const double* losses, double* beta) {
  const std::int64_t n = blockIdx.x;
  if (std::isinf(losses[n])) return;
  const CtcUtterance<T> u(batch, n);
  for (std::int64_t t = u.frames - 1; t >= 0; --t) {
    double* now = beta + (n * batch.frames + t) * u.row;
    for (std::int64_t s = threadIdx.x; s < u.states(); s += kThreads) {
      now[s] = u.beta_of(t, s, now + u.row);
    }
    __syncthreads();
  }
}

// The gradient is softmax(logits) less the probability of being at each class, given the labels. A
// frame is a warp's. Its row of beta is overwritten by the probabilities of its states; of these a
// class's are found by looking at all labels, so that they are always added in the same order.
template <class T>
__global__ void ctc_gradient(CtcBatch<T> batch, const double* losses, const double* totals,
                             const T* grad_loss, double* beta, T* grad_logits, double beta_grad) {
  const std::int64_t frame = warp_row();
  if (frame >= batch.count * batch.frames) return;
  const std::int64_t n = frame / batch.frames, t = frame % batch.frames;
  const CtcUtterance<T> u(batch, n);
  T* grad = grad_logits + frame * u.classes;
  if (std::isinf(losses[n]) || t >= u.frames) {
    for (std::int64_t c = lane(); c < u.classes; c += kWarp) {
      grad[c] = static_cast<T>(beta_grad == 0 ? 0 : beta_grad * static_cast<double>(grad[c]));
    }
    return;
  }

  double* states = beta + frame * u.row;
  for (std::int64_t s = lane(); s < u.states(); s += kWarp) {
    states[s] = std::exp(u.alpha[t * u.row + s] + states[s] + losses[n]);
  }
  __syncwarp();
  const double share = static_cast<double>(*grad_loss) / totals[1] * batch.share(n);
  for (std::int64_t c = lane(); c < u.classes; c += kWarp) {
    const int parity = c == 0 ? 0 : 1;  // of the class's states: blanks are the even ones
    double expected = c == 0 ? states[u.states() - 1] : 0;
    for (std::int64_t i = 0; i < u.label_count; ++i) {
      if (c == 0 || u.labels[i] == c) expected += states[2 * i + parity];
    }
    const double logit = static_cast<double>(u.logits[t * u.classes + c]);
    const double g = share * (std::exp(logit - u.normalisers[t]) - expected);
    grad[c] = static_cast<T>(beta_grad == 0 ? g : beta_grad * static_cast<double>(grad[c]) + g);
  }
}

void ctc_forward(const CtcForwardArgs& args, Scratch /*none*/) {
  const Device device = args.logits.device();
  auto* losses = args.losses.mutable_data<double>();
  with_float_type(args.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const CtcBatch<T> batch(args);
    const std::int64_t frames = batch.count * batch.frames;
    if (frames > 0) {
      TARN_LAUNCH((ctc_normalisers<T>), blocks_for_rows(frames), kThreads, 0, device, batch);
    }
    if (batch.count > 0) {
      TARN_LAUNCH((ctc_alpha<T>), dim3(static_cast<unsigned>(batch.count)), kThreads, 0, device,
                  batch, losses);
    }
    TARN_LAUNCH((ctc_totals<T>), dim3(1), kThreads, 0, device, batch, losses,
                args.totals.mutable_data<double>(), args.loss.mutable_data<T>());
  });
}

std::int64_t ctc_backward_scratch_bytes(const CtcBackwardArgs& args) {
  return std::int64_t{sizeof(double)} * args.alpha.elements();
}

void ctc_backward(const CtcBackwardArgs& args, Scratch scratch) {
  if (args.grad_logits.elements() == 0) return;
  const Device device = args.logits.device();
  const auto* losses = args.losses.data<double>();
  auto* beta = scratch.as<double>();
  with_float_type(args.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const CtcBatch<T> batch(args);
    TARN_LAUNCH((ctc_beta<T>), dim3(static_cast<unsigned>(batch.count)), kThreads, 0, device, batch,
                losses, beta);
    TARN_LAUNCH((ctc_gradient<T>), blocks_for_rows(batch.count * batch.frames), kThreads, 0, device,
                batch, losses, args.totals.data<double>(), args.grad_loss.data<T>(), beta,
                args.grad_logits.mutable_data<T>(), args.beta);
  });
}

}  // namespace tarn::kernels::cuda
