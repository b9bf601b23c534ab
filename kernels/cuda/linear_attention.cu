// Linear attention without a causal mask: one state for all queries of a head (eqs. 5 and 6), found
// by sum_states over all positions and then applied to each by apply_state. With g[l] = grad_out[l]
// * inverse_sum[l] and d[l] = -(g[l] . out[l]), the gradient of the denominator, they are
//
//   sum = sum over s of key[s] value[s]^T and key_sum = sum of key[s]
//   out[l] = query[l] sum / (query[l] . key_sum + eps)
//   R = sum over l of query[l] g[l]^T and r = sum of d[l] query[l]
//   grad_query[l] = sum g[l] + d[l] key_sum
//   grad_key[s] = R value[s] + r and grad_value[s] = R^T key[s]
#include <algorithm>

#include "kernels/cuda/linear_state.h"
#include "kernels/dtype_switch.h"
#include "kernels/linear_attention.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

template <class T, class Body>
auto with_state_sizes(std::int64_t rows, std::int64_t columns, const Body& body) {
  if constexpr (std::is_same_v<T, float>) {
    if (rows > 32 || columns > 32) return body(StateSizes<64, 64>{});
  }
  return body(StateSizes<32, 32>{});
}

// How the summing of states is divided: by the shapes alone, so that every device computes the same
// bits.
struct StateDivision {
  std::int64_t strips, pieces, segments, segment_length;

  template <class S>
  StateDivision(S /*sizes*/, const Tensor& a, const Tensor& x) {
    // As for causal_linear_attention: some blocks for each processor, some chunks for each block.
    constexpr std::int64_t kBlocks = 512, kLeastChunks = 4;
    strips = quotient_up(a.size(3), S::kSide);
    pieces = quotient_up(x.size(3), S::kSide);
    const std::int64_t blocks = std::max<std::int64_t>(1, a.size(0) * a.size(2) * strips * pieces);
    const std::int64_t target_segments = std::clamp<std::int64_t>(
        a.size(1) / (kLeastChunks * S::kChunk), 1, quotient_up(kBlocks, blocks));
    segment_length = std::max<std::int64_t>(
        S::kChunk, quotient_up(quotient_up(a.size(1), target_segments), S::kChunk) * S::kChunk);
    segments = std::max<std::int64_t>(1, quotient_up(a.size(1), segment_length));
  }
};

// States as rows of `width`, those of a head one after the other, in memory of these strides.
template <class T>
Heads<T> states_in(T* data, std::int64_t sequence, std::int64_t head, std::int64_t width) {
  Heads<T> states;
  states.data = data;
  states.sequence = sequence;
  states.position = width;
  states.head = head;
  states.width = width;
  states.quads = is_aligned(data) && sequence % 4 == 0 && head % 4 == 0 && width % 4 == 0;
  return states;
}
template <class T>
Heads<T> states_in(const Tensor& t) {
  return states_in<T>(t.mutable_data<std::remove_const_t<T>>(), t.strides()[0], t.strides()[1],
                      t.size(3));
}

// Elements of a state and its row sum, of all heads.
std::int64_t state_elements(const Tensor& a, const Tensor& x) {
  return a.size(0) * a.size(2) * a.size(3) * (x.size(3) + 1);
}

// Bytes of the segments' states where there are several.
std::int64_t segment_bytes(const Tensor& a, const Tensor& x) {
  return with_float_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return with_state_sizes<T>(a.size(3), x.size(3), [&](auto sizes) {
      const std::int64_t segments = StateDivision(sizes, a, x).segments;
      return segments > 1 ? segments * state_elements(a, x) * std::int64_t{sizeof(T)} : 0;
    });
  });
}

// Sums states up into p.state and p.row_sum; in scratch of segment_bytes().
template <class T, bool kBackward>
void sum_all_states(SumStatesArgs<T> p, const Tensor& a, const Tensor& x, T* scratch) {
  const std::int64_t walks = a.size(0) * a.size(2), e = a.size(3), m = x.size(3);
  if (walks * e * m == 0) return;
  p.a = Heads<const T>(a);
  p.x = Heads<const T>(x);
  p.length = a.size(1);
  p.heads = a.size(2);
  with_state_sizes<T>(e, m, [&](auto sizes) {
    using S = decltype(sizes);
    const StateDivision d(sizes, a, x);
    p.strips = d.strips;
    p.pieces = d.pieces;
    p.segments = d.segments;
    p.segment_length = d.segment_length;
    const HeadVectors<T> state{p.state.data, p.state.sequence, p.state.head}, row_sum = p.row_sum;
    if (d.segments > 1) {
      p.state = states_in<T>(scratch, p.heads * e * m, e * m, m);
      p.state_segment = walks * e * m;
      p.row_sum = {scratch + d.segments * p.state_segment, p.heads * e, e};
      p.row_sum_segment = walks * e;
    }
    TARN_LAUNCH((sum_states<T, kBackward, S>),
                dim3(static_cast<unsigned>(walks * d.strips * d.pieces * d.segments)), kWalkThreads,
                0, a.device(), p);
    if (d.segments > 1) {
      TARN_LAUNCH((add_segments<T>), blocks_for(walks * e * m), kThreads, 0, a.device(),
                  p.state.data, d.segments, state, p.heads, e * m, walks * e * m);
      TARN_LAUNCH((add_segments<T>), blocks_for(walks * e), kThreads, 0, a.device(), p.row_sum.data,
                  d.segments, row_sum, p.heads, e, walks * e);
    }
  });
}

// result = a's rows times the state, as kApply says.
template <class T, Apply kApply>
void apply_to_all(ApplyStateArgs<T> p, const Tensor& a, const Tensor& result) {
  if (result.elements() == 0) return;
  p.a = Heads<const T>(a);
  p.result = Heads<T>(result);
  p.length = a.size(1);
  p.heads = a.size(2);
  with_state_sizes<T>(a.size(3), result.size(3), [&](auto sizes) {
    using S = decltype(sizes);
    p.pieces = quotient_up(result.size(3), S::kSide);
    p.chunks = quotient_up(p.length, S::kChunk);
    const std::int64_t blocks = a.size(0) * p.heads * p.pieces * p.chunks;
    TARN_LAUNCH((apply_state<T, kApply, S>), dim3(static_cast<unsigned>(blocks)), kWalkThreads, 0,
                a.device(), p);
  });
}

std::int64_t linear_attention_forward_scratch_bytes(const LinearAttentionForwardArgs& args) {
  return segment_bytes(args.key, args.value);
}

void linear_attention_forward(const LinearAttentionForwardArgs& args, Scratch scratch) {
  with_float_type(args.key.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const HeadVectors<T> key_sum{args.key_sum.mutable_data<T>(), args.key_sum.strides()[0],
                                 args.key_sum.strides()[1]};
    SumStatesArgs<T> sums;
    sums.lengths = Lengths(args.lengths);
    sums.state = states_in<T>(args.sum);
    sums.row_sum = key_sum;
    sum_all_states<T, false>(sums, args.key, args.value, scratch.as<T>());

    ApplyStateArgs<T> p;
    p.state = states_in<const T>(args.sum);
    p.row_sum = {key_sum.data, key_sum.sequence, key_sum.head};
    p.new_inverse_sum = args.inverse_sum.mutable_data<T>();
    p.eps = static_cast<T>(args.eps);
    apply_to_all<T, Apply::forward>(p, args.query, args.out);
  });
}

std::int64_t linear_attention_backward_scratch_bytes(const LinearAttentionBackwardArgs& args) {
  return state_elements(args.query, args.value) * size_of(args.query.dtype()) +
         segment_bytes(args.query, args.grad_out);
}

void linear_attention_backward(const LinearAttentionBackwardArgs& args, Scratch scratch) {
  with_float_type(args.query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t heads = args.query.size(2), e = args.query.size(3), m = args.value.size(3);
    T* states = scratch.as<T>();  // R of all heads, then r of all, then the segments'
    T* row_sums = states + args.query.size(0) * heads * e * m;
    SumStatesArgs<T> sums;
    sums.out = Heads<const T>(args.out);
    sums.inverse_sum = args.inverse_sum.data<T>();
    sums.state = states_in<T>(states, heads * e * m, e * m, m);
    sums.row_sum = {row_sums, heads * e, e};
    sum_all_states<T, true>(sums, args.query, args.grad_out,
                            states + state_elements(args.query, args.value));

    ApplyStateArgs<T> p;
    p.state = states_in<const T>(args.sum);
    p.row_sum = {args.key_sum.data<T>(), args.key_sum.strides()[0], args.key_sum.strides()[1]};
    p.out = sums.out;
    p.inverse_sum = sums.inverse_sum;
    p.beta = static_cast<T>(args.beta_query);
    apply_to_all<T, Apply::grad_query>(p, args.grad_out, args.grad_query);

    p.state = states_in<const T>(states, heads * e * m, e * m, m);
    p.row_sum = {row_sums, heads * e, e};
    p.lengths = Lengths(args.lengths);
    p.beta = static_cast<T>(args.beta_key);
    apply_to_all<T, Apply::grad_key>(p, args.value, args.grad_key);
    p.beta = static_cast<T>(args.beta_value);
    apply_to_all<T, Apply::grad_value>(p, args.key, args.grad_value);
  });
}

}  // namespace tarn::kernels::cuda
