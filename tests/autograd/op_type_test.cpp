// Wrong types, widths of zero, and lengths and labels out of range: every op throws, on one thread
// and on several, and never reads what is not there.
#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "autograd/causal_linear_attention.h"
#include "autograd/check.h"
#include "autograd/cross_entropy.h"
#include "autograd/ctc.h"
#include "autograd/dropout.h"
#include "autograd/embedding.h"
#include "autograd/encoder_step.h"
#include "autograd/layer_norm.h"
#include "autograd/linear.h"
#include "autograd/linear_attention.h"
#include "autograd/logistic_mixture.h"
#include "autograd/lsh_attention.h"
#include "autograd/lstm.h"
#include "autograd/qkv_linear.h"
#include "autograd/sample.h"
#include "autograd/softmax_attention.h"
#include "autograd/unary.h"
#include "autograd/views.h"
#include "tests/support/random_tensor.h"
#include "tests/support/threads.h"

namespace tarn::ad {
namespace {

using test::full;

// An op by name, good arguments, and the call. Large enough to be cut into pieces for threads.
struct Call {
  const char* op;
  std::vector<Tensor> arguments;
  std::function<void(const std::vector<Tensor>&)> run;
};

Tensor floats(const Shape& shape) { return test::random_tensor(shape, DType::f32, "x"); }
Tensor ints(const Shape& shape, double value) { return full(shape, DType::i32, value); }

std::vector<Call> attention_calls() {
  const Shape heads{4, 96, 4, 8};
  const std::vector<Tensor> three{floats(heads), floats(heads), floats(heads), ints({4}, 90)};
  const auto call = [&](const char* op, const auto& attention) -> Call {
    return {op, three, [=](const std::vector<Tensor>& a) {
              attention(Heads{a[0], a[1], a[2], {}}, a[3]);
            }};
  };
  return {
      call("causal_linear_attention",
           [](const Heads& h, const Tensor& l) { causal_linear_attention(h, l, 1e-6); }),
      call("linear_attention",
           [](const Heads& h, const Tensor& l) { linear_attention(h, l, 1e-6); }),
      call("softmax_attention",
           [](const Heads& h, const Tensor& l) { softmax_attention(h, l, {}); }),
      {"lsh_order",
       {floats(heads), floats({2, 8, 4}), ints({4}, 90)},
       [](const std::vector<Tensor>& a) { lsh_order(a[0], a[1], a[2]); }},
      {"lsh_attention",
       {floats(heads), floats(heads), ints({4}, 90), ints({4, 4, 2, 96}, 3)},
       [](const std::vector<Tensor>& a) { lsh_attention(a[0], a[1], a[2], a[3], {}); }},
      {"causal_linear_attention_prefill",
       {floats(heads), floats(heads), floats({4, 4, 8, 8}), floats({4, 4, 8})},
       [](const std::vector<Tensor>& a) {
         causal_linear_attention_prefill({{}, a[0], a[1], {}}, a[2], a[3]);
       }},
      {"softmax_attention_prefill",
       {floats(heads), floats(heads), floats({4, 4, 100, 8}), floats({4, 4, 100, 8})},
       [](const std::vector<Tensor>& a) {
         softmax_attention_prefill({{}, a[0], a[1], {}}, a[2], a[3]);
       }},
  };
}

std::vector<Call> layer_calls() {
  const Tensor qkv = floats({96, 32}), qkv_bias = floats({96});
  return {
      {"linear",
       {floats({200, 64}), floats({128, 64}), floats({128})},
       [](const std::vector<Tensor>& a) { linear(a[0], a[1], a[2]); }},
      {"qkv_linear",
       {floats({200, 32}), qkv, qkv_bias},
       [](const std::vector<Tensor>& a) {
         QkvLayers layers{a[1], a[2], {}, {}};
         for (std::size_t i = 0; i < 3; ++i) {
           layers.weights[i] = a[1].slice(0, static_cast<std::int64_t>(32 * i), 32);
           layers.biases[i] = a[2].slice(0, static_cast<std::int64_t>(32 * i), 32);
         }
         qkv_linear(a[0], layers, Unary::relu);
       }},
      {"layer_norm",
       {floats({4000, 32}), floats({32}), floats({32})},
       [](const std::vector<Tensor>& a) { layer_norm(a[0], a[1], a[2], 1e-5); }},
      {"layer_norm",
       {floats({4000, 32}), floats({4000, 32}), floats({32}), floats({32})},
       [](const std::vector<Tensor>& a) { add_layer_norm(a[0], a[1], 0.1, {}, a[2], a[3], 1e-5); }},
      {"embedding",
       {ints({4000}, 3), floats({9, 32})},
       [](const std::vector<Tensor>& a) { embedding(a[0], a[1]); }},
      {"bi_lstm",
       {floats({16, 20, 12}), ints({16}, 9), floats({64, 12}), floats({64, 16}), floats({64}),
        floats({64})},
       [](const std::vector<Tensor>& a) {
         const LstmWeights weights{a[2], a[3], a[4], a[5]};
         bi_lstm(a[0], a[1], weights, weights);
       }},
      {"unary", {floats({4000, 32})}, [](const auto& a) { unary(a[0], Unary::gelu); }},
      {"dropout", {floats({4000, 32})}, [](const auto& a) { dropout(a[0], 0.5, {}); }},
      {"concat",
       {floats({4000, 32}), floats({4000, 8})},
       [](const std::vector<Tensor>& a) { concat(a[0], a[1]); }},
      {"pack_linear",
       {floats({64, 32}), floats({64})},
       [](const std::vector<Tensor>& a) { pack_linear(a[0], a[1], DType::f32); }},
  };
}

std::vector<Call> loss_calls() {
  return {
      {"cross_entropy",
       {floats({4000, 10}), ints({4000}, 9), floats({4000})},
       [](const std::vector<Tensor>& a) { cross_entropy(a[0], a[1], a[2]); }},
      {"ctc",
       {floats({8, 30, 5}), ints({8, 6}, 4), ints({8}, 30), ints({8}, 6)},
       [](const std::vector<Tensor>& a) { ctc(a[0], a[1], a[2], a[3]); }},
      {"logistic_mixture",
       {floats({4000, 6}), floats({4000})},
       [](const std::vector<Tensor>& a) { logistic_mixture(a[0], a[1]); }},
      {"sample_logistic_mixture",
       {floats({4000, 6})},
       [](const std::vector<Tensor>& a) {
         sample_logistic_mixture(a[0], LogisticScale::exact, {});
       }},
      {"sample_categorical",
       {floats({4000, 6})},
       [](const std::vector<Tensor>& a) { sample_categorical(a[0], {}); }},
  };
}

std::vector<Call> calls() {
  std::vector<Call> all = attention_calls();
  for (const auto& more : {layer_calls(), loss_calls()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

// Calls the op with one argument replaced; E is wanted, and the op's name in its message.
template <class E>
void check_refused(const Call& call, std::size_t index, const Tensor& instead) {
  CAPTURE(call.op);
  CAPTURE(index);
  CAPTURE(instead.str());
  std::vector<Tensor> arguments = call.arguments;
  arguments[index] = instead;
  CHECK_THROWS_WITH_AS(call.run(arguments), doctest::Contains(message(call.op, ": ").c_str()), E);
}

// Whether it is a float tensor that no other argument must be like, and may be f64 too.
bool agrees_with_none(const Call& call, std::size_t index) {
  const std::string op = call.op;
  if (op == "embedding") return index == 1;
  return index == 0 && (call.arguments.size() == 1 || op == "ctc" || op == "logistic_mixture");
}

TEST_CASE("ops: every argument's type is checked before a thread starts [thread]") {
  for (const std::int64_t threads : {1, 4}) {
    const test::UseThreads use(threads);
    for (const Call& call : calls()) {
      REQUIRE_NOTHROW(call.run(call.arguments));
      for (std::size_t i = 0; i < call.arguments.size(); ++i) {
        const Tensor& argument = call.arguments[i];
        for (const DType other : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8}) {
          if (other == argument.dtype()) continue;
          if (other == DType::f64 && agrees_with_none(call, i)) continue;
          check_refused<DTypeError>(call, i, full(argument.shape(), other, 0));
        }
      }
    }
  }
}

TEST_CASE("ops: a width of zero is refused, and so is a tensor that is undefined") {
  for (const Call& call : calls()) {
    for (std::size_t i = 0; i < call.arguments.size(); ++i) {
      const Tensor& argument = call.arguments[i];
      const std::string op = call.op;
      const bool optional = argument.dtype() == DType::i32 && argument.rank() == 1 && op != "ctc" &&
                            op != "embedding" && op != "cross_entropy";
      const bool windows = op == "qkv_linear" && i > 0;  // of which this test takes slices
      if (!optional && !windows && !(op == "linear" && i == 2))
        check_refused<ShapeError>(call, i, {});
      if (argument.rank() < 2 || op == "concat" || op == "unary" || op == "dropout") continue;
      check_refused<ShapeError>(call, i,
                                full(argument.shape().without_last().with(0), argument.dtype(), 0));
    }
  }
}

TEST_CASE("ops: all widths zero at once is refused too") {
  const Tensor none = floats({2, 5, 3, 0}), some = floats({2, 5, 3, 4});
  for (const Heads& heads : {Heads{none, none, some, {}}, Heads{some, some, none, {}}}) {
    CHECK_THROWS_AS(causal_linear_attention(heads, {}, 1e-6), ShapeError);
    CHECK_THROWS_AS(linear_attention(heads, {}, 1e-6), ShapeError);
    CHECK_THROWS_AS(softmax_attention(heads, {}, {}), ShapeError);
  }
  const Tensor no_heads = floats({2, 5, 0, 4});
  CHECK_THROWS_AS(linear_attention({no_heads, no_heads, no_heads, {}}, {}, 1e-6), ShapeError);
  CHECK_THROWS_AS(Heads::of(floats({2, 5, 0}), 0, 4, 4), ShapeError);
  CHECK_THROWS_AS(Heads::of(floats({2, 5, 0}), 3, 0, 0), ShapeError);
  CHECK_THROWS_AS(linear(floats({2, 3}), floats({0, 3}), {}), ShapeError);
  CHECK_THROWS_AS(lsh_order(none, floats({2, 0, 4}), {}), ShapeError);
  CHECK_THROWS_AS(layer_norm(floats({2, 0}), floats({0}), floats({0}), 1e-5), ShapeError);
  CHECK_THROWS_AS(cross_entropy(floats({0, 0}), ints({0}, 0), floats({0})), ShapeError);
  CHECK(unary(floats({3, 0}), Unary::gelu).shape() == Shape{3, 0});
  CHECK(concat(floats({3, 0}), floats({3, 2})).shape() == Shape{3, 2});
}

TEST_CASE("ops: lengths and labels out of range are refused [thread]") {
  for (const std::int64_t threads : {1, 4}) {
    const test::UseThreads use(threads);
    for (const Call& call : calls()) {
      for (std::size_t i = 0; i < call.arguments.size(); ++i) {
        const Tensor& argument = call.arguments[i];
        if (argument.dtype() != DType::i32) continue;
        for (const double value : {-1.0, -2147483648.0, 97.0, 5000.0, 2147483647.0}) {
          for (const std::int64_t at : {std::int64_t{0}, argument.elements() - 1}) {
            const Tensor wrong = test::copy_of(argument);
            test::set(wrong, at, value);
            check_refused<IndexError>(call, i, wrong);
          }
        }
      }
    }
  }
}

TEST_CASE("ops: the last value in range is taken, and what is past the lengths is not read") {
  for (const Call& call : calls()) CHECK_NOTHROW(call.run(call.arguments));
  const Tensor logits = floats({2, 5, 3}), labels = ints({2, 3}, 2);
  test::set(labels, {0, 2}, -7);
  test::set(labels, {1, 1}, 99);
  const Tensor counts = ints({2}, 2);
  test::set(counts, 1, 1);
  CHECK_NOTHROW(ctc(logits, labels, ints({2}, 5), counts));
  CHECK_THROWS_WITH_AS(ctc(logits, labels, ints({2}, 5), ints({2}, 2)),
                       doctest::Contains("holds 99"), IndexError);
  CHECK_THROWS_WITH_AS(ctc(logits, ints({2, 3}, 0), ints({2}, 5), counts),
                       doctest::Contains("must be in [1, 2]"), IndexError);
  CHECK_THROWS_WITH_AS(ctc(logits, labels, ints({2}, 6), counts),
                       "ctc: frame_lengths i32 [2] holds 6 (element 0); it must be in [0, 5]",
                       IndexError);
}

TEST_CASE("ops: dropout's probability is checked wherever there is one") {
  const Tensor x = floats({2, 3}), w = floats({3}), q = floats({2, 5, 3, 4});
  for (const double p : {-0.1, 1.0, 2.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS_AS(dropout(x, p, {}), Error);
    CHECK_THROWS_AS(linear(x, floats({4, 3}), {}, {.dropout = p}), Error);
    CHECK_THROWS_AS(add_layer_norm(x, x, p, {}, w, w, 1e-5), Error);
    CHECK_THROWS_AS(softmax_attention({q, q, q, {}}, {}, {.dropout = p}), Error);
    CHECK_THROWS_AS(lsh_attention(q, q, {}, ints({2, 3, 1, 5}, 0), {.dropout = p}), Error);
  }
}

TEST_CASE("qkv_linear: each layer's weight and bias must be windows, in order") {
  const Tensor weight = floats({9, 4}), bias = floats({9}), x = floats({2, 4});
  const auto run = [&](std::size_t layer, const Tensor& own_weight, const Tensor& own_bias) {
    QkvLayers layers{weight, bias, {}, {}};
    for (std::size_t i = 0; i < 3; ++i) {
      layers.weights[i] = weight.slice(0, static_cast<std::int64_t>(3 * i), 3);
      layers.biases[i] = bias.slice(0, static_cast<std::int64_t>(3 * i), 3);
    }
    if (own_weight.defined()) layers.weights[layer] = own_weight;
    if (own_bias.defined()) layers.biases[layer] = own_bias;
    return qkv_linear(x, layers, Unary::relu);
  };
  CHECK_NOTHROW(run(0, {}, {}));
  for (const std::size_t layer : {0, 1, 2}) {
    CHECK_THROWS_AS(run(layer, floats({3, 4}), {}), ShapeError);
    CHECK_THROWS_AS(run(layer, {}, floats({3})), ShapeError);
    CHECK_THROWS_AS(run(layer, weight.slice(0, 1, 3), {}), ShapeError);
    CHECK_THROWS_AS(run(layer, weight.slice(0, static_cast<std::int64_t>(3 * layer), 2), {}),
                    ShapeError);
  }
}

// No such device is needed to ask for one: an undefined slot of the table would come later.
TEST_CASE("check: messages name the op, the argument, what it is and what was expected") {
  const Check check("op");
  const Tensor x = floats({2, 3}), y = full({2, 3}, DType::f64, 0);
  const auto message_of = [](const auto& failing) -> std::string {
    try {
      failing();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message_of([&] {
          check.floats({{"x", x}, {"y", y}});
        }) == "op: y f64 [2, 3] must be f32 as x f32 [2, 3] is");
  CHECK(message_of([&] {
          check.device({"x", x}, Device::cuda(1));
        }) == "op: x f32 [2, 3] is on cpu and must be on cuda:1");
  CHECK(message_of([&] { check.shape({"x", x}, {3, 2}); }) == "op: x f32 [2, 3] must be [3, 2]");
  CHECK(message_of([&] { check.required({{"x", x}, {"z", {}}}); }) == "op: z is undefined");
  CHECK(message_of([&] {
          check.contiguous({{"x", x.transpose(0, 1)}});
        }) == "op: x f32 [3, 2] with strides [1, 3] must be contiguous");
  CHECK_THROWS_AS(check.device({"x", x}, Device::cuda(0)), DeviceError);
}

}  // namespace
}  // namespace tarn::ad
