#include "kernels/lstm.h"

#include "kernels/dtype_switch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/lstm.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
//
#include "kernels/cpu/lstm-inl.h"
#include "kernels/cpu/lstm_group.h"
#include "kernels/table.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {

template <class T>
T* row_at(const Tensor& x, std::int64_t direction, std::int64_t n, std::int64_t t) {
  return x.mutable_data<T>() + ((direction * x.size(1) + n) * x.size(2) + t) * x.size(3);
}
// One direction's half of the row of sequence n and frame t, in an output [N, T, 2 H] or its
// gradient.
template <class T>
T* half_row(const Tensor& x, std::int64_t direction, std::int64_t n, std::int64_t t) {
  const std::int64_t width = x.size(2);
  return x.mutable_data<T>() + (n * x.size(1) + t) * width + direction * (width / 2);
}

// A direction's recurrent weight, packed in the scratch.
template <class T>
Panels<T> forward_panels(std::int64_t hidden, std::int64_t direction, Scratch packed) {
  return {packed.as<T>() + direction * hidden * padded_to_panels(4 * hidden), hidden, 4 * hidden};
}
template <class T>
Panels<T> backward_panels(std::int64_t hidden, std::int64_t direction, Scratch packed) {
  return {packed.as<T>() + direction * 4 * hidden * padded_to_panels(hidden), 4 * hidden, hidden};
}

template <class T>
void forward(const LstmForwardArgs& args, const LstmGroup& group, Scratch packed, T* scratch) {
  const std::int64_t hidden = args.weight.size(1);
  const std::int64_t direction = group.direction();
  const Panels<T> weight = forward_panels<T>(hidden, direction, packed);
  const std::int64_t stride = weight.padded_columns();
  T* last_out = scratch;
  T* cell = last_out + group.size() * hidden;
  T* recurrent = cell + group.size() * hidden;
  std::fill(last_out, recurrent, T{0});
  for (std::int64_t s = 0; s < group.longest(); ++s) {
    const std::int64_t t = direction == 0 ? s : group.longest() - 1 - s;
    const std::int64_t rows = group.rows_at(t);
    product(last_out, weight, rows, recurrent);
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t n = group.sequence(r);
      cell_forward(recurrent + r * stride, hidden, row_at<T>(args.gates, direction, n, t),
                   cell + r * hidden, last_out + r * hidden);
      std::copy_n(last_out + r * hidden, hidden, half_row<T>(args.out, direction, n, t));
      if (!args.cells.defined()) continue;
      std::copy_n(cell + r * hidden, hidden, row_at<T>(args.cells, direction, n, t));
    }
  }
  for (std::int64_t r = 0; r < group.size(); ++r) {
    const std::int64_t n = group.sequence(r);
    for (std::int64_t t = group.length(r); t < args.out.size(1); ++t) {
      std::fill_n(half_row<T>(args.out, direction, n, t), hidden, T{0});
    }
  }
}

template <class T>
void backward(const LstmBackwardArgs& args, const LstmGroup& group, Scratch packed, T* scratch) {
  const std::int64_t hidden = args.weight.size(1);
  const std::int64_t direction = group.direction();
  const Panels<T> weight = backward_panels<T>(hidden, direction, packed);
  const std::int64_t stride = weight.padded_columns();
  const std::int64_t before = direction == 0 ? -1 : 1;
  T* zeros = scratch;
  T* grad_cell = zeros + hidden;
  T* grad_recurrent = grad_cell + group.size() * hidden;
  T* grads = grad_recurrent + group.size() * stride;
  std::fill(zeros, grads, T{0});
  for (std::int64_t s = 0; s < group.longest(); ++s) {
    const std::int64_t t = direction == 0 ? group.longest() - 1 - s : s;
    const std::int64_t rows = group.rows_at(t);
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t n = group.sequence(r);
      const bool first = t + before < 0 || t + before >= group.length(r);
      const T* last_cell = first ? zeros : row_at<T>(args.cells, direction, n, t + before);
      const T* last_out = first ? zeros : half_row<T>(args.out, direction, n, t + before);
      cell_backward(half_row<T>(args.grad_out, direction, n, t), grad_recurrent + r * stride,
                    row_at<T>(args.cells, direction, n, t), last_cell, hidden,
                    row_at<T>(args.gates, direction, n, t), grad_cell + r * hidden,
                    grads + r * 4 * hidden);
      std::copy_n(last_out, hidden, row_at<T>(args.previous, direction, n, t));
    }
    product(grads, weight, rows, grad_recurrent);
  }
  for (std::int64_t r = 0; r < group.size(); ++r) {
    const std::int64_t n = group.sequence(r);
    for (std::int64_t t = group.length(r); t < args.out.size(1); ++t) {
      std::fill_n(row_at<T>(args.gates, direction, n, t), 4 * hidden, T{0});
      std::fill_n(row_at<T>(args.previous, direction, n, t), hidden, T{0});
    }
  }
}

template <class T>
void pack_forward(const LstmForwardArgs& args, std::int64_t direction, Scratch packed) {
  const Tensor& weight = direction == 0 ? args.weight : args.reverse;
  forward_panels<T>(weight.size(1), direction, packed).pack(weight.data<T>(), 1, weight.size(1));
}
template <class T>
void pack_backward(const LstmBackwardArgs& args, std::int64_t direction, Scratch packed) {
  const Tensor& weight = direction == 0 ? args.weight : args.reverse;
  backward_panels<T>(weight.size(1), direction, packed).pack(weight.data<T>(), weight.size(1), 1);
}

void PackForward(const LstmForwardArgs& args, std::int64_t direction, Scratch packed) {
  with_float_type(args.out.dtype(),
                  [&](auto zero) { pack_forward<decltype(zero)>(args, direction, packed); });
}
void PackBackward(const LstmBackwardArgs& args, std::int64_t direction, Scratch packed) {
  with_float_type(args.out.dtype(),
                  [&](auto zero) { pack_backward<decltype(zero)>(args, direction, packed); });
}
void Forward(const LstmForwardArgs& args, const LstmGroup& group, Scratch packed, void* scratch) {
  with_float_type(args.out.dtype(), [&](auto zero) {
    forward(args, group, packed, static_cast<decltype(zero)*>(scratch));
  });
}
void Backward(const LstmBackwardArgs& args, const LstmGroup& group, Scratch packed, void* scratch) {
  with_float_type(args.out.dtype(), [&](auto zero) {
    backward(args, group, packed, static_cast<decltype(zero)*>(scratch));
  });
}

}  // namespace
}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/scratch.h"

namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(PackForward);
HWY_EXPORT(PackBackward);
HWY_EXPORT(Forward);
HWY_EXPORT(Backward);

void check_lengths(const Tensor& lengths, std::int64_t frames) {
  for (std::int64_t n = 0; lengths.defined() && n < lengths.elements(); ++n) {
    const std::int32_t length = lengths.data<std::int32_t>()[n];
    TARN_CHECK_SHAPE(length >= 0 && length <= frames, "lstm: sequence ", n, " has ", length,
                     " frames of ", frames);
  }
}

// Calls body(i) for i in [0, count). For a small layer, waking the other threads costs more than
// they save, and one thread does it all.
template <class Body>
void for_pieces(const Tensor& gates, std::int64_t count, const Body& body) {
  parallel_chunks(count, gates.elements() < kChunkElements ? std::max<std::int64_t>(count, 1) : 1,
                  [&](std::int64_t first, std::int64_t last) {
                    for (std::int64_t i = first; i < last; ++i) body(i);
                  });
}

// Calls body(group, scratch) for every group of both directions, with room for `elements` of the
// gates' dtype.
template <class Body>
void for_groups(const Tensor& gates, const Tensor& lengths, std::int64_t elements,
                const Body& body) {
  const std::int64_t batch = gates.size(1), frames = gates.size(2);
  const std::int64_t bytes = elements * size_of(gates.dtype());
  for_pieces(gates, 2 * group_count(batch), [&](std::int64_t i) {
    std::byte* scratch = thread_scratch_bytes(
        static_cast<std::size_t>(bytes + batch * std::int64_t{sizeof(std::int32_t)}));
    const LstmGroup group(lengths, batch, frames, i % 2, i / 2,
                          reinterpret_cast<std::int32_t*>(scratch + bytes));
    body(group, scratch);
  });
}

}  // namespace

std::int64_t lstm_forward_scratch_bytes(const LstmForwardArgs& args) {
  const std::int64_t hidden = args.weight.size(1);
  return size_of(args.out.dtype()) * 2 * hidden * padded_to_panels(4 * hidden);
}

std::int64_t lstm_backward_scratch_bytes(const LstmBackwardArgs& args) {
  const std::int64_t hidden = args.weight.size(1);
  constexpr std::int64_t kDirections = 2, kGates = 4;
  return size_of(args.out.dtype()) * kDirections * kGates * hidden * padded_to_panels(hidden);
}

void lstm_forward(const LstmForwardArgs& args, Scratch packed) {
  check_lengths(args.lengths, args.out.size(1));
  for_pieces(args.gates, 2, [&](std::int64_t d) {
    HWY_DYNAMIC_DISPATCH(PackForward)(args, d, packed);
  });
  const std::int64_t hidden = args.weight.size(1);
  const std::int64_t row = 2 * hidden + padded_to_panels(4 * hidden);
  for_groups(args.gates, args.lengths, group_size(args.out.size(0)) * row,
             [&](const LstmGroup& group, void* scratch) {
               HWY_DYNAMIC_DISPATCH(Forward)(args, group, packed, scratch);
             });
}

void lstm_backward(const LstmBackwardArgs& args, Scratch packed) {
  for_pieces(args.gates, 2, [&](std::int64_t d) {
    HWY_DYNAMIC_DISPATCH(PackBackward)(args, d, packed);
  });
  const std::int64_t hidden = args.weight.size(1);
  const std::int64_t row = 5 * hidden + padded_to_panels(hidden);
  for_groups(args.gates, args.lengths, hidden + group_size(args.out.size(0)) * row,
             [&](const LstmGroup& group, void* scratch) {
               HWY_DYNAMIC_DISPATCH(Backward)(args, group, packed, scratch);
             });
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
