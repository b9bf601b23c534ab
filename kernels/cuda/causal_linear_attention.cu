// Causal linear attention as walks along the sequence (causal_walk.h). With g[t] = grad_out[t] *
// inverse_sum[t] and d[t] = -(g[t] . out[t]), the gradient of the denominator, they are
//
//   out[i]        = sum over j <= i of (query[i] . key[j]) value[j] / denominator   (eqs. 9 to 12)
//   grad_query[i] = sum over j <= i of (g[i] . value[j] + d[i]) key[j]              (eq. 13)
//   grad_key[i]   = sum over j >= i of (value[i] . g[j] + d[j]) query[j]            (eq. 15)
//   grad_value[i] = sum over j >= i of (key[i] . query[j]) g[j]                     (eq. 14)
//
// A block has a piece of the columns of a head. Where these are too few to fill a device, the
// sequence is cut into segments, by the shapes alone so that every device computes the same bits:
// a first launch finds what each segment adds to the state, a second sums up those before each
// segment, and then all of them are walked at once.
#include <algorithm>

#include "kernels/causal_linear_attention.h"
#include "kernels/cuda/causal_walk.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

// Calls body(WalkSizes) with those for a state of `rows` by `columns`. Their shared memory stays
// below the 48 KiB that a block has on every device.
template <class T, class Body>
auto with_walk_sizes(std::int64_t rows, std::int64_t columns, const Body& body) {
  if constexpr (std::is_same_v<T, float>) {
    if (rows <= 32) return body(WalkSizes<32, 32, 32, 32, 4>{});
    if (rows <= 64 && columns > 32) return body(WalkSizes<32, 64, 64, 64, 3>{});
    if (rows <= 128) return body(WalkSizes<32, 64, 128, 32, 3>{});
    return body(WalkSizes<32, 64, 0, 32, 3>{});
  } else {
    if (rows <= 64) return body(WalkSizes<16, 64, 64, 32, 3>{});
    return body(WalkSizes<16, 64, 0, 32, 3>{});
  }
}

// How a walk over a query's heads is divided.
struct Division {
  std::int64_t pieces, segments, segment_length, strips, blocks;
  std::int64_t sums;  // elements of scratch

  template <class S>
  Division(S /*sizes*/, const Tensor& query, std::int64_t rows, std::int64_t columns) {
    // Four blocks for each processor of a large device; and a segment is worth its own two walks
    // only if it is some chunks long.
    constexpr std::int64_t kBlocks = 512, kLeastChunks = 4;
    const std::int64_t length = query.size(1);
    pieces = quotient_up(columns, S::kColumns);
    strips = quotient_up(rows, S::kStrip);
    const std::int64_t walks = query.size(0) * query.size(2) * pieces;
    const std::int64_t target_segments =
        std::clamp<std::int64_t>(length / (kLeastChunks * S::kChunk), 1,
                                 quotient_up(kBlocks, std::max<std::int64_t>(1, walks)));
    segment_length =
        std::max<std::int64_t>(1, quotient_up(quotient_up(length, target_segments), S::kChunk)) *
        S::kChunk;
    segments = std::max<std::int64_t>(1, quotient_up(length, segment_length));
    blocks = walks * segments;
    const bool needs_sums = segments > 1 || S::kStateRows == 0;
    sums = needs_sums ? blocks * state_size(S{}) : 0;
  }

  template <class S>
  std::int64_t state_size(S /*sizes*/) const {
    return (strips * S::kStrip + 1) * S::kStateStride;
  }
};

// Bytes of scratch of a walk with a state of `rows` by `columns`.
std::int64_t walk_bytes(const Tensor& query, std::int64_t rows, std::int64_t columns) {
  return with_float_type(query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return with_walk_sizes<T>(rows, columns, [&](auto sizes) {
      return Division(sizes, query, rows, columns).sums * std::int64_t{sizeof(T)};
    });
  });
}

template <Walk kWalk, class T>
void walk(WalkArgs<T> p, const Tensor& query, Scratch scratch) {
  with_walk_sizes<T>(p.a.width, p.x.width, [&](auto sizes) {
    using S = decltype(sizes);
    const Division d(sizes, query, p.a.width, p.x.width);
    if (d.blocks == 0 || p.length == 0) return;
    p.pieces = d.pieces;
    p.segments = d.segments;
    p.segment_length = d.segment_length;
    p.strips = d.strips;
    p.sums = scratch.as<T>();
    const dim3 grid(static_cast<unsigned>(d.blocks));
    if (d.segments > 1) {
      TARN_LAUNCH((causal_walk<T, kWalk, S>), grid, kWalkThreads, 0, query.device(), p, true);
      TARN_LAUNCH((sum_segments_before<T>), blocks_for(d.sums / d.segments), kThreads, 0,
                  query.device(), p.sums, d.blocks / d.segments, d.segments, d.state_size(sizes));
    }
    TARN_LAUNCH((causal_walk<T, kWalk, S>), grid, kWalkThreads, 0, query.device(), p, false);
  });
}

// What the walks of a call share.
template <class T, class Args>
WalkArgs<T> walk_args(const Args& args) {
  WalkArgs<T> p;
  p.lengths = Lengths(args.lengths);
  p.length = args.query.size(1);
  p.heads = args.query.size(2);
  return p;
}

std::int64_t causal_linear_attention_forward_scratch_bytes(
    const CausalLinearAttentionForwardArgs& args) {
  return walk_bytes(args.query, args.query.size(3), args.value.size(3));
}

void causal_linear_attention_forward(const CausalLinearAttentionForwardArgs& args,
                                     Scratch scratch) {
  with_float_type(args.query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    WalkArgs<T> p = walk_args<T>(args);
    p.a = Heads<const T>(args.query);
    p.b = Heads<const T>(args.key);
    p.x = Heads<const T>(args.value);
    p.result = Heads<T>(args.out);
    p.new_inverse_sum = args.inverse_sum.mutable_data<T>();
    p.eps = static_cast<T>(args.eps);
    walk<Walk::forward>(p, args.query, scratch);
  });
}

std::int64_t causal_linear_attention_backward_scratch_bytes(
    const CausalLinearAttentionBackwardArgs& args) {
  const std::int64_t e = args.query.size(3), m = args.value.size(3);
  return std::max(walk_bytes(args.query, m, e), walk_bytes(args.query, e, m));
}

void causal_linear_attention_backward(const CausalLinearAttentionBackwardArgs& args,
                                      Scratch scratch) {
  with_float_type(args.query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    WalkArgs<T> p = walk_args<T>(args);
    const Heads<const T> query(args.query), key(args.key), value(args.value);
    const Heads<const T> grad_out(args.grad_out);
    p.out = Heads<const T>(args.out);
    p.inverse_sum = args.inverse_sum.data<T>();

    p.a = grad_out, p.b = value, p.x = key;
    p.result = Heads<T>(args.grad_query);
    p.beta = static_cast<T>(args.beta_query);
    walk<Walk::grad_query>(p, args.query, scratch);

    p.a = value, p.b = grad_out, p.x = query;
    p.result = Heads<T>(args.grad_key);
    p.beta = static_cast<T>(args.beta_key);
    walk<Walk::grad_key>(p, args.query, scratch);

    p.a = key, p.b = query, p.x = grad_out;
    p.result = Heads<T>(args.grad_value);
    p.beta = static_cast<T>(args.beta_value);
    walk<Walk::grad_value>(p, args.query, scratch);
  });
}

}  // namespace tarn::kernels::cuda
