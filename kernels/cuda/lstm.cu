// The host walks through time. A step is a product for each direction, by cuBLAS, and one launch
// for all that is done elementwise. Lengths stay on the device: every step takes all sequences, and
// what one that lacks the frame has there is zero, so that it adds nothing to the step that
// follows. The products may also write into gates of such frames, which nothing reads.
#include <cmath>

#include "kernels/cuda/blas.h"
#include "kernels/cuda/gpu.h"
#include "kernels/dtype_switch.h"
#include "kernels/lstm.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

constexpr std::int64_t kGates = 4;  // input, forget, candidate and output

// The tensors of both passes, which are contiguous.
template <class T>
struct LstmBatch {
  T *gates, *out;
  const std::int32_t* lengths;
  std::int64_t count, frames, hidden;

  template <class Args>
  explicit LstmBatch(const Args& args)
      : gates(args.gates.template mutable_data<T>()),
        out(args.out.template mutable_data<T>()),
        lengths(args.lengths.defined() ? args.lengths.template data<std::int32_t>() : nullptr),
        count(args.out.size(0)),
        frames(args.out.size(1)),
        hidden(args.weight.size(1)) {}

  // The hidden units of all sequences and both directions.
  __host__ __device__ std::int64_t units() const { return 2 * count * hidden; }
  // The frame of a direction's step; steps are counted in the order of the forward pass.
  __host__ __device__ std::int64_t frame(std::int64_t direction, std::int64_t step) const {
    return direction == 0 ? step : frames - 1 - step;
  }
  // The rows of sequence 0 and their distance to those of the next.
  T* gate_rows(std::int64_t direction, std::int64_t step) const {
    return gates + (direction * count * frames + frame(direction, step)) * kGates * hidden;
  }
  std::int64_t gate_stride() const { return frames * kGates * hidden; }
  T* out_rows(std::int64_t direction, std::int64_t step) const {
    return out + (frame(direction, step) * 2 + direction) * hidden;
  }
  std::int64_t out_stride() const { return frames * 2 * hidden; }
};

// A unit of [2, count, hidden] at a step. Its neighbours are those of the steps before and after,
// which a sequence may lack.
template <class T>
struct LstmUnit {
  std::int64_t i, n, direction, length;
  std::int64_t before, now, after;  // frames

  __device__ LstmUnit(const LstmBatch<T>& batch, std::int64_t unit, std::int64_t step)
      : i(unit % batch.hidden),
        n(unit / batch.hidden % batch.count),
        direction(unit / batch.hidden / batch.count),
        length(batch.frames),
        before(batch.frame(direction, step - 1)),
        now(batch.frame(direction, step)),
        after(batch.frame(direction, step + 1)) {
    // What a device holds is not checked before it gets here.
    if (batch.lengths != nullptr && batch.lengths[n] < length) length = batch.lengths[n];
  }

  __device__ bool has(std::int64_t frame) const { return frame >= 0 && frame < length; }

  // Elements of [2, count, frames, 4, hidden] (of gate 0), [2, count, frames, hidden] and
  // [count, frames, 2, hidden].
  __device__ std::int64_t in_gates(const LstmBatch<T>& batch) const {
    return (row(batch, now) * kGates) * batch.hidden + i;
  }
  __device__ std::int64_t in_cells(const LstmBatch<T>& batch, std::int64_t frame) const {
    return row(batch, frame) * batch.hidden + i;
  }
  __device__ std::int64_t in_out(const LstmBatch<T>& batch, std::int64_t frame) const {
    return ((n * batch.frames + frame) * 2 + direction) * batch.hidden + i;
  }

 private:
  __device__ std::int64_t row(const LstmBatch<T>& batch, std::int64_t frame) const {
    return (direction * batch.count + n) * batch.frames + frame;
  }
};

// 1 / (1 + exp(-x)) without overflow on either side.
template <class T>
__device__ T lstm_sigmoid(T x) {
  const T small = std::exp(-std::abs(x));
  return (x >= T(0) ? T(1) : small) / (T(1) + small);
}

// `state` is the cells [2, count, hidden] of the step before; it is not read where a sequence
// begins. `cells`, those of all frames, may be null.
template <class T>
__global__ void lstm_forward_step(LstmBatch<T> batch, std::int64_t step, T* state, T* cells) {
  for (std::int64_t e = first_element(); e < batch.units(); e += all_threads()) {
    const LstmUnit<T> unit(batch, e, step);
    T& out = batch.out[unit.in_out(batch, unit.now)];
    if (!unit.has(unit.now)) {
      out = 0;
      continue;
    }
    T* gates = batch.gates + unit.in_gates(batch);
    const T input = lstm_sigmoid(gates[0]);
    const T forget = lstm_sigmoid(gates[batch.hidden]);
    const T candidate = std::tanh(gates[2 * batch.hidden]);
    const T output = lstm_sigmoid(gates[3 * batch.hidden]);
    const T last = unit.has(unit.before) ? state[e] : T(0);
    const T cell = forget * last + input * candidate;
    gates[0] = input;
    gates[batch.hidden] = forget;
    gates[2 * batch.hidden] = candidate;
    gates[3 * batch.hidden] = output;
    state[e] = cell;
    if (cells != nullptr) cells[unit.in_cells(batch, unit.now)] = cell;
    out = output * std::tanh(cell);
  }
}

// The gradients of a step's outputs and cells, [2, count, hidden], that come from the step after
// it; they are not read where a sequence ends.
template <class T>
struct LstmStateGrads {
  T *out, *cell;
};

template <class T>
__global__ void lstm_backward_step(LstmBatch<T> batch, std::int64_t step, const T* cells,
                                   const T* grad_out, LstmStateGrads<T> state, T* previous) {
  for (std::int64_t e = first_element(); e < batch.units(); e += all_threads()) {
    const LstmUnit<T> unit(batch, e, step);
    const std::int64_t at = unit.in_cells(batch, unit.now);
    T* gates = batch.gates + unit.in_gates(batch);
    if (!unit.has(unit.now)) {
      for (std::int64_t gate = 0; gate < kGates; ++gate) gates[gate * batch.hidden] = 0;
      previous[at] = 0;
      continue;
    }
    const T input = gates[0];
    const T forget = gates[batch.hidden];
    const T candidate = gates[2 * batch.hidden];
    const T output = gates[3 * batch.hidden];
    const T squashed = std::tanh(cells[at]);
    T grad = grad_out[unit.in_out(batch, unit.now)];
    T grad_cell = 0;
    if (unit.has(unit.after)) {
      grad += state.out[e];
      grad_cell = state.cell[e];
    }
    grad_cell += grad * output * (T(1) - squashed * squashed);
    T last_cell = 0, last_out = 0;
    if (unit.has(unit.before)) {
      last_cell = cells[unit.in_cells(batch, unit.before)];
      last_out = batch.out[unit.in_out(batch, unit.before)];
    }
    // The derivative of a sigmoid with value s is s (1 - s).
    gates[0] = grad_cell * candidate * (input * (T(1) - input));
    gates[batch.hidden] = grad_cell * last_cell * (forget * (T(1) - forget));
    gates[2 * batch.hidden] = grad_cell * input * (T(1) - candidate * candidate);
    gates[3 * batch.hidden] = grad * squashed * (output * (T(1) - output));
    state.cell[e] = grad_cell * forget;
    previous[at] = last_out;
  }
}

std::int64_t lstm_forward_scratch_bytes(const LstmForwardArgs& args) {
  return size_of(args.out.dtype()) * 2 * args.out.size(0) * args.weight.size(1);
}

void lstm_forward(const LstmForwardArgs& args, Scratch scratch) {
  if (args.out.elements() == 0) return;
  const Device device = args.out.device();
  with_float_type(args.out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const LstmBatch<T> batch(args);
    const T* weights[] = {args.weight.data<T>(), args.reverse.data<T>()};
    T* cells = args.cells.defined() ? args.cells.mutable_data<T>() : nullptr;
    for (std::int64_t step = 0; step < batch.frames; ++step) {
      // Before the first step every output is zero.
      for (const std::int64_t d : {0, 1}) {
        if (step == 0) continue;
        blas_gemm<T>(device, false, true, batch.count, kGates * batch.hidden, batch.hidden,
                     batch.out_rows(d, step - 1), batch.out_stride(), weights[d], batch.hidden,
                     T(1), batch.gate_rows(d, step), batch.gate_stride());
      }
      TARN_LAUNCH((lstm_forward_step<T>), blocks_for(batch.units()), kThreads, 0, device, batch,
                  step, scratch.as<T>(), cells);
    }
  });
}

std::int64_t lstm_backward_scratch_bytes(const LstmBackwardArgs& args) {
  constexpr std::int64_t kGrads = 2, kDirections = 2;
  return size_of(args.out.dtype()) * kGrads * kDirections * args.out.size(0) * args.weight.size(1);
}

void lstm_backward(const LstmBackwardArgs& args, Scratch scratch) {
  if (args.out.elements() == 0) return;
  const Device device = args.out.device();
  with_float_type(args.out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const LstmBatch<T> batch(args);
    const T* weights[] = {args.weight.data<T>(), args.reverse.data<T>()};
    const LstmStateGrads<T> state{scratch.as<T>(), scratch.as<T>() + batch.units()};
    for (std::int64_t step = batch.frames - 1; step >= 0; --step) {
      // The gates of the step after are their gradients by now.
      for (const std::int64_t d : {0, 1}) {
        if (step == batch.frames - 1) continue;
        blas_gemm<T>(device, false, false, batch.count, batch.hidden, kGates * batch.hidden,
                     batch.gate_rows(d, step + 1), batch.gate_stride(), weights[d], batch.hidden,
                     T(0), state.out + d * batch.count * batch.hidden, batch.hidden);
      }
      TARN_LAUNCH((lstm_backward_step<T>), blocks_for(batch.units()), kThreads, 0, device, batch,
                  step, args.cells.data<T>(), args.grad_out.data<T>(), state,
                  args.previous.mutable_data<T>());
    }
  });
}

}  // namespace tarn::kernels::cuda
