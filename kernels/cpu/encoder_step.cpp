#include "kernels/encoder_step.h"

#include <array>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/encoder_step.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
//
#include "kernels/cpu/normalise-inl.h"
#include "kernels/cpu/panels-inl.h"
#include "kernels/cpu/step_attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {

constexpr std::int64_t whole_panels(std::int64_t columns) {
  return (columns + kPanelColumns - 1) / kPanelColumns * kPanelColumns;
}

// The gap between rows. Widths are often powers of two: without it, the rows of a block, which are
// read together, would all start in the same set of the cache and evict each other.
constexpr std::int64_t kRowGap = 16;
constexpr std::int64_t row_stride(std::int64_t columns) { return whole_panels(columns) + kRowGap; }

// The sizes of a step, and its intermediate results, which lie in the scratch.
template <class T>
struct Workspace {
  explicit Workspace(const EncoderStepArgs& args)
      : rows(args.x.size(0)), width(args.x.size(1)), position(args.position) {
    if (args.device_position.defined()) position = *args.device_position.data<std::int32_t>();
    if (args.layers.empty()) return;
    const StepLayer& layer = args.layers.front();
    heads = layer.heads;
    query_width = layer.query_width;
    value_width = layer.value_width;
    hidden_width = layer.linear1.bias.elements();
  }

  std::int64_t elements() const {
    std::int64_t strides = 0;
    for (const std::int64_t columns : columns_of_matrices()) strides += row_stride(columns);
    return rows * strides;
  }

  void lay_out(T* at) {
    Matrix<T>* matrix[] = {&x, &branch, &qkv, &attended, &hidden};
    const auto columns = columns_of_matrices();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      *matrix[i] = {at, row_stride(columns[i])};
      at += rows * matrix[i]->stride;
    }
  }

  std::int64_t rows, width, position;
  std::int64_t heads = 1, query_width = 0, value_width = 0, hidden_width = 0;
  Matrix<T> x, branch, qkv, attended, hidden;

 private:
  std::array<std::int64_t, 5> columns_of_matrices() const {
    const std::int64_t attended_width = heads * value_width;
    return {width, width, 2 * heads * query_width + attended_width, attended_width, hidden_width};
  }
};

// One thread's part of a step.
template <class T>
class Step {
 public:
  Step(const EncoderStepArgs& args, TeamMember& member, T* scratch)
      : args_(args), member_(member), work_(args) {
    work_.lay_out(scratch);
  }

  void run() const {
    member_.share(work_.rows, [&](std::int64_t r) HWY_ATTR { load_row(r); });
    for (std::size_t i = 0; i < args_.layers.size(); ++i) {
      run_layer(args_.layers[i], args_.states[i]);
    }
    member_.share(work_.rows, [&](std::int64_t r) HWY_ATTR { finish_row(r); });
    if (!has_head()) return;
    const Matrix<T> out{args_.out.mutable_data<T>(), args_.out.size(1)};
    multiply({args_.head, read(work_.x), out, out.stride}, work_.width);
  }

 private:
  bool has_head() const { return args_.head.panels.defined(); }
  static Matrix<const T> read(const Matrix<T>& matrix) { return {matrix.at, matrix.stride}; }

  // A product whose output is a matrix of the workspace. Its rows have room for whole panels, so
  // that the columns behind the last one may be written too.
  static Product<T> product(const PackedLinear& linear, const Matrix<T>& x, const Matrix<T>& out,
                            Unary activation = Unary::identity) {
    return {linear, read(x), out, out.stride - kRowGap, activation};
  }

  void load_row(std::int64_t r) const {
    const T* from = args_.x.data<T>() + r * work_.width;
    T* to = work_.x.row(r);
    std::copy(from, from + work_.width, to);
    // A product with a bf16 weight reads the inputs in pairs, and so one past an odd width. That
    // one must be a number. In the other matrices a product has written it.
    std::fill(to + work_.width, to + work_.x.stride, T{0});
    std::fill(work_.attended.row(r), work_.attended.row(r) + work_.attended.stride, T{0});
  }

  void run_layer(const StepLayer& layer, const StepState& state) const {
    multiply(product(layer.qkv, work_.x, work_.qkv), work_.width);
    member_.share(work_.rows * work_.heads, [&](std::int64_t i) HWY_ATTR {
      attend(layer.rule, state, i / work_.heads, i % work_.heads);
    });
    multiply(product(layer.out, work_.attended, work_.branch), work_.heads * work_.value_width);
    add_and_normalise(layer.norm1);
    multiply(product(layer.linear1, work_.x, work_.hidden, layer.activation), work_.width);
    multiply(product(layer.linear2, work_.hidden, work_.branch), work_.hidden_width);
    add_and_normalise(layer.norm2);
  }

  void multiply(const Product<T>& product, std::int64_t in) const {
    member_.share(product.panels(),
                  [&](std::int64_t p) HWY_ATTR { multiply_panel(product, work_.rows, in, p); });
  }

  void attend(const StepRule& rule, const StepState& state, std::int64_t n, std::int64_t h) const {
    const std::int64_t e = work_.query_width, m = work_.value_width;
    T* query = work_.qkv.row(n) + h * e;
    T* key = query + work_.heads * e;
    const T* value = work_.qkv.row(n) + 2 * work_.heads * e + h * m;
    const HeadStep<T> head{query, key, value, work_.attended.row(n) + h * m, e, m};
    const std::int64_t i = n * work_.heads + h;
    T* first = state.first.mutable_data<T>();
    T* second = state.second.mutable_data<T>();
    if (rule.kind == StepRule::Kind::causal_linear) {
      unary_row(rule.feature_map, head.query, head.query, e);
      unary_row(rule.feature_map, head.key, head.key, e);
      return linear_head_step(head, static_cast<T>(rule.eps), first + i * e * m, second + i * e);
    }
    const std::int64_t capacity = state.first.size(2);
    T* keys = first + i * capacity * e;
    T* values = second + i * capacity * m;
    std::copy(head.key, head.key + e, keys + work_.position * e);
    std::copy(head.value, head.value + m, values + work_.position * m);
    softmax_head_step(head, static_cast<T>(rule.scale), keys, values, work_.position + 1,
                      thread_scratch<T>(capacity));
  }

  // x = norm(x + branch).
  void add_and_normalise(const NormWeights& norm) const {
    member_.share(work_.rows, [&](std::int64_t r) HWY_ATTR {
      T* x = work_.x.row(r);
      const T* branch = work_.branch.row(r);
      for_vectors<T>(work_.width, [&](auto d, std::int64_t i) HWY_ATTR {
        hn::StoreU(hn::Add(hn::LoadU(d, x + i), hn::LoadU(d, branch + i)), d, x + i);
      });
      normalise(norm, x, x);
    });
  }

  void finish_row(std::int64_t r) const {
    T* x = work_.x.row(r);
    normalise(args_.norm, x, has_head() ? x : args_.out.mutable_data<T>() + r * work_.width);
  }

  void normalise(const NormWeights& norm, const T* row, T* out) const {
    normalise_row(row, norm.weight.data<T>(), norm.bias.data<T>(), static_cast<T>(norm.eps),
                  work_.width, out);
  }

  const EncoderStepArgs& args_;
  TeamMember& member_;
  Workspace<T> work_;
};

void RunStep(const EncoderStepArgs& args, TeamMember& member, Scratch scratch) {
  with_float_type(args.x.dtype(),
                  [&](auto zero) { Step(args, member, scratch.as<decltype(zero)>()).run(); });
}

std::int64_t ScratchBytes(const EncoderStepArgs& args) {
  return size_of(args.x.dtype()) * Workspace<float>(args).elements();
}

}  // namespace
}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(RunStep);
HWY_EXPORT(ScratchBytes);

// A thread joins in only if its part is at least this many multiplications: with fewer, waiting for
// it at the end of each phase costs more than it saves.
constexpr std::int64_t kWorthAThread = 100'000;

std::int64_t multiplications(const EncoderStepArgs& args) {
  std::int64_t weights = 0;
  for (const StepLayer& layer : args.layers) {
    for (const PackedLinear* linear : {&layer.qkv, &layer.out, &layer.linear1, &layer.linear2}) {
      weights += linear->panels.elements();
    }
  }
  return args.x.size(0) * weights;
}

}  // namespace

std::int64_t encoder_step_scratch_bytes(const EncoderStepArgs& args) {
  return HWY_DYNAMIC_DISPATCH(ScratchBytes)(args);
}

void encoder_step(const EncoderStepArgs& args, Scratch scratch) {
  parallel_team(multiplications(args) / kWorthAThread, [&](TeamMember& member) {
    HWY_DYNAMIC_DISPATCH(RunStep)(args, member, scratch);
  });
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
