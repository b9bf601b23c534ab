// A layer is five launches: the products for queries, keys and values; the attention of each head;
// and three products. The normalisations are done by the product that follows them, the last by a
// launch of its own.
#include <array>
#include <cmath>

#include "kernels/cuda/panel_product.h"
#include "kernels/dtype_switch.h"
#include "kernels/encoder_step.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

// What the projections gave all heads, [N, 2 H E + H M], and where their outputs go, [N, H M].
template <class T>
struct StepHeads {
  T* qkv;
  T* attended;
  std::int64_t heads, query_width, value_width;
};

// One head of one sequence, which is a block's.
template <class T>
struct StepHead {
  T *query, *key;
  const T* value;
  T* out;

  __device__ explicit StepHead(const StepHeads<T>& all) {
    const std::int64_t n = blockIdx.x / all.heads, h = blockIdx.x % all.heads;
    const std::int64_t queries = all.heads * all.query_width, values = all.heads * all.value_width;
    query = all.qkv + n * (2 * queries + values) + h * all.query_width;
    key = query + queries;
    value = all.qkv + n * (2 * queries + values) + 2 * queries + h * all.value_width;
    out = all.attended + n * values + h * all.value_width;
  }
};

// The scalar product of two rows, by the calling warp.
template <class T>
__device__ T warp_dot(const T* a, const T* b, std::int64_t n) {
  T sum = 0;
  for (std::int64_t i = lane(); i < n; i += kWarp) sum += a[i] * b[i];
  return warp_sum(sum);
}

// out[j] = scale * sum over i < n of term(i, j), for j < width. The warps of the block share the
// terms, and a thread has one column at a time.
template <class T, class Term>
__device__ void sum_over_warps(std::int64_t n, std::int64_t width, T scale, T* out,
                               const Term& term) {
  TARN_SHARED(T[kWarps][kWarp], partial);
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  for (std::int64_t first = 0; first < width; first += kWarp) {
    const std::int64_t j = first + lane();
    T total = 0;
    if (j < width) {
      for (std::int64_t i = warp; i < n; i += kWarps) total += term(i, j);
    }
    partial[warp][lane()] = total;
    __syncthreads();
    if (warp == 0 && j < width) {
      for (int w = 1; w < kWarps; ++w) total += partial[w][lane()];
      out[j] = scale * total;
    }
    __syncthreads();
  }
}

// sum += key value^T, key_sum += key, out = query sum / (query . key_sum + eps) (eqs. 18 to 20).
template <class T>
__global__ void linear_head_steps(StepHeads<T> all, Unary feature_map, T eps, T* sums,
                                  T* key_sums) {
  const StepHead<T> head(all);
  const std::int64_t e = all.query_width, m = all.value_width;
  T* sum = sums + blockIdx.x * e * m;
  T* key_sum = key_sums + blockIdx.x * e;
  for (std::int64_t i = threadIdx.x; i < e; i += kThreads) {
    head.query[i] = unary(feature_map, head.query[i]);
    head.key[i] = unary(feature_map, head.key[i]);
    key_sum[i] += head.key[i];
  }
  __syncthreads();
  const T inverse = T(1) / (warp_dot(head.query, key_sum, e) + eps);
  sum_over_warps(e, m, inverse, head.out, [&](std::int64_t i, std::int64_t j) {
    T& element = sum[i * m + j];
    element += head.key[i] * head.value[j];
    return head.query[i] * element;
  });
}

// The position of a step, which may lie on the device.
struct StepPosition {
  std::int64_t value;
  const std::int32_t* device;

  explicit StepPosition(const EncoderStepArgs& args)
      : value(args.position),
        device(args.device_position.defined() ? args.device_position.data<std::int32_t>()
                                              : nullptr) {}

  __device__ std::int64_t read() const { return device == nullptr ? value : *device; }
};

// out = softmax(scale * query . keys[s]) values over the first position + 1 positions (eq. 2), of
// which the last is made of this key and value. `weights` is working memory, [N, H, capacity].
template <class T>
__global__ void softmax_head_steps(StepHeads<T> all, T scale, T* all_keys, T* all_values,
                                   std::int64_t capacity, StepPosition at, T* all_weights) {
  const StepHead<T> head(all);
  const std::int64_t position = at.read(), seen = position + 1;
  const std::int64_t e = all.query_width, m = all.value_width;
  T* keys = all_keys + blockIdx.x * capacity * e;
  T* values = all_values + blockIdx.x * capacity * m;
  T* weights = all_weights + blockIdx.x * capacity;
  for (std::int64_t i = threadIdx.x; i < e; i += kThreads) keys[position * e + i] = head.key[i];
  for (std::int64_t j = threadIdx.x; j < m; j += kThreads) values[position * m + j] = head.value[j];
  __syncthreads();
  for (std::int64_t s = threadIdx.x / kWarp; s < seen; s += kWarps) {
    const T score = scale * warp_dot(head.query, keys + s * e, e);
    if (lane() == 0) weights[s] = score;
  }
  __syncthreads();
  const T largest = weights[index_of_largest(weights, seen)];
  __syncthreads();
  for (std::int64_t s = threadIdx.x; s < seen; s += kThreads) {
    weights[s] = std::exp(weights[s] - largest);
  }
  __syncthreads();
  T total = 0;
  for (std::int64_t s = lane(); s < seen; s += kWarp) total += weights[s];
  const T inverse = T(1) / warp_sum(total);
  sum_over_warps(seen, m, inverse, head.out,
                 [&](std::int64_t s, std::int64_t j) { return weights[s] * values[s * m + j]; });
}

// Two normalisations in a row, those of the last layer and of the encoder; of no layer, there is no
// first. A row is a warp's.
template <class T>
__global__ void finish_rows(const T* x, AddNorm<T> first, AddNorm<T> last, std::int64_t rows,
                            std::int64_t width) {
  const std::int64_t r = warp_row();
  if (r >= rows) return;
  SummedRow<T> row = first.row(x, r, width);
  if (first.weight != nullptr) {
    const RowMoments<T> moments(row, first.eps, width);
    T* normal = first.normal + r * width;
    for (std::int64_t i = lane(); i < width; i += kWarp) {
      normal[i] = normalised(row, moments, first, i);
    }
    row = {normal, nullptr};  // of which a lane reads what it wrote itself
  }
  const RowMoments<T> moments(row, last.eps, width);
  for (std::int64_t i = lane(); i < width; i += kWarp) {
    last.normal[r * width + i] = normalised(row, moments, last, i);
  }
}

namespace {

// The sizes of a step, and its intermediate results, which lie in the scratch.
template <class T>
struct StepBuffers {
  explicit StepBuffers(const EncoderStepArgs& args)
      : rows(args.x.size(0)), width(args.x.size(1)), device(args.x.device()) {
    if (args.layers.empty()) return;
    const StepLayer& layer = args.layers.front();
    heads = layer.heads;
    query_width = layer.query_width;
    value_width = layer.value_width;
    hidden_width = layer.linear1.bias.elements();
    if (layer.rule.kind == StepRule::Kind::softmax) capacity = args.states.front().first.size(2);
  }

  std::int64_t elements() const {
    std::int64_t total = 0;
    for (const std::int64_t columns : columns_of_buffers()) total += rows * columns;
    return total;
  }

  void lay_out(T* at) {
    T** buffer[] = {&x, &normal, &branch, &qkv, &attended, &hidden, &weights};
    const auto columns = columns_of_buffers();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      *buffer[i] = at;
      at += rows * columns[i];
    }
  }

  StepHeads<T> step_heads() const { return {qkv, attended, heads, query_width, value_width}; }

  std::int64_t rows, width;
  Device device;
  std::int64_t heads = 0, query_width = 0, value_width = 0, hidden_width = 0, capacity = 0;
  T *x = nullptr, *normal = nullptr, *branch = nullptr, *qkv = nullptr, *attended = nullptr,
    *hidden = nullptr, *weights = nullptr;

 private:
  std::array<std::int64_t, 7> columns_of_buffers() const {
    const std::int64_t values = heads * value_width;
    return {width,  width,        width,           2 * heads * query_width + values,
            values, hidden_width, heads * capacity};
  }
};

template <class T>
void multiply(const StepBuffers<T>& b, const T* x, const AddNorm<T>& norm,
              const PackedLinear& linear, std::int64_t in, T* out,
              Unary activation = Unary::identity) {
  const std::int64_t outputs = linear.bias.elements();
  const dim3 grid(static_cast<unsigned>(linear.panels.size(0)),
                  static_cast<unsigned>((b.rows + kStepRows - 1) / kStepRows));
  const T* bias = linear.bias.data<T>();
  if (linear.panels.dtype() == DType::bf16) {
    if constexpr (sizeof(T) == sizeof(float)) {
      TARN_LAUNCH((panel_product<T, Bf16>), grid, kThreads, 0, b.device, x, norm,
                  linear.panels.data<Bf16>(), bias, out, activation, b.rows, in, outputs);
    }
    return;
  }
  TARN_LAUNCH((panel_product<T, T>), grid, kThreads, 0, b.device, x, norm, linear.panels.data<T>(),
              bias, out, activation, b.rows, in, outputs);
}

template <class T>
void attend(const StepBuffers<T>& b, const StepRule& rule, const StepState& state,
            const StepPosition& position) {
  const dim3 grid(static_cast<unsigned>(b.rows * b.heads));
  T* first = state.first.mutable_data<T>();
  T* second = state.second.mutable_data<T>();
  if (rule.kind == StepRule::Kind::causal_linear) {
    TARN_LAUNCH((linear_head_steps<T>), grid, kThreads, 0, b.device, b.step_heads(),
                rule.feature_map, rule.eps, first, second);
  } else {
    TARN_LAUNCH((softmax_head_steps<T>), grid, kThreads, 0, b.device, b.step_heads(), rule.scale,
                first, second, b.capacity, position, b.weights);
  }
}

template <class T>
void step(const EncoderStepArgs& args, T* scratch) {
  StepBuffers<T> b(args);
  b.lay_out(scratch);
  const T* x = args.x.data<T>();
  AddNorm<T> norm;  // what is left to be done to x and the branch
  for (std::size_t i = 0; i < args.layers.size(); ++i) {
    const StepLayer& layer = args.layers[i];
    multiply(b, x, norm, layer.qkv, b.width, b.qkv);
    if (i > 0) x = b.x;
    attend(b, layer.rule, args.states[i], StepPosition(args));
    multiply(b, static_cast<const T*>(b.attended), {}, layer.out, b.heads * b.value_width,
             b.branch);
    multiply(b, x, AddNorm<T>(layer.norm1, b.branch, b.normal), layer.linear1, b.width, b.hidden,
             layer.activation);
    // linear2 reads the hidden values only, so that the branch may be written again.
    multiply(b, static_cast<const T*>(b.hidden), {}, layer.linear2, b.hidden_width, b.branch);
    x = b.normal;
    norm = AddNorm<T>(layer.norm2, b.branch, b.x);
  }
  const bool has_head = args.head.panels.defined();
  T* normal = has_head ? b.normal : args.out.mutable_data<T>();
  TARN_LAUNCH((finish_rows<T>), blocks_for_rows(b.rows), kThreads, 0, b.device, x, norm,
              AddNorm<T>(args.norm, nullptr, normal), b.rows, b.width);
  if (has_head) {
    multiply(b, static_cast<const T*>(normal), {}, args.head, b.width, args.out.mutable_data<T>());
  }
}

}  // namespace

std::int64_t encoder_step_scratch_bytes(const EncoderStepArgs& args) {
  return size_of(args.x.dtype()) * StepBuffers<float>(args).elements();
}

void encoder_step(const EncoderStepArgs& args, Scratch scratch) {
  if (args.x.size(0) == 0) return;
  with_float_type(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    step<T>(args, scratch.as<T>());
  });
}

}  // namespace tarn::kernels::cuda
