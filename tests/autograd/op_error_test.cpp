// What ops refuse: shapes that do not fit, and strides that a kernel would misread.
#include <doctest/doctest.h>

#include "autograd/causal_linear_attention.h"
#include "autograd/cross_entropy.h"
#include "autograd/ctc.h"
#include "autograd/dropout.h"
#include "autograd/embedding.h"
#include "autograd/layer_norm.h"
#include "autograd/linear.h"
#include "autograd/linear_attention.h"
#include "autograd/logistic_mixture.h"
#include "autograd/lsh_attention.h"
#include "autograd/lstm.h"
#include "autograd/softmax_attention.h"
#include "autograd/unary.h"
#include "autograd/views.h"
#include "tests/support/random_tensor.h"

namespace tarn::ad {
namespace {

using test::full;

Tensor tensor(const Shape& shape) { return test::random_tensor(shape, DType::f32, "x"); }
Tensor transposed(const Shape& shape) { return tensor(shape).transpose(0, 1); }
Tensor every_other(std::int64_t n) { return tensor({n, 2}).select(1, 0); }

TEST_CASE("linear: refuses what does not fit") {
  CHECK_THROWS_AS(linear(tensor({2, 3}), tensor({5, 4}), {}), ShapeError);
  CHECK_THROWS_AS(linear(tensor({2, 3}), tensor({3}), {}), ShapeError);
  CHECK_THROWS_AS(linear(tensor({2, 3}), tensor({5, 3}), tensor({3})), ShapeError);
  CHECK_THROWS_AS(linear(tensor({}), tensor({5, 3}), {}), ShapeError);
  CHECK_THROWS_AS(linear(tensor({2, 0}), tensor({5, 0}), {}), ShapeError);
}

TEST_CASE("linear: refuses strides that it cannot read") {
  CHECK_THROWS_AS(linear(transposed({3, 2}), tensor({5, 3}), {}), ShapeError);
  CHECK_THROWS_AS(linear(tensor({1, 3}).expand({2, 3}), tensor({5, 3}), {}), ShapeError);
  CHECK_THROWS_AS(linear(tensor({2, 3}), transposed({3, 5}), {}), ShapeError);
  CHECK_THROWS_AS(linear(tensor({2, 3}), tensor({5, 3}), every_other(5)), ShapeError);
}

TEST_CASE("layer_norm: refuses what does not fit") {
  const Tensor width = tensor({3});
  CHECK_THROWS_AS(layer_norm(tensor({2, 3}), tensor({2}), width, 1e-5), ShapeError);
  CHECK_THROWS_AS(layer_norm(tensor({2, 0}), tensor({0}), tensor({0}), 1e-5), ShapeError);
  CHECK_THROWS_AS(layer_norm(tensor({2, 3}), width, tensor({2}), 1e-5), ShapeError);
  CHECK_THROWS_AS(layer_norm(transposed({3, 2}), width, width, 1e-5), ShapeError);
  CHECK_THROWS_AS(layer_norm(tensor({2, 3}), every_other(3), width, 1e-5), ShapeError);
  CHECK_THROWS_AS(layer_norm(tensor({2, 3}), width, every_other(3), 1e-5), ShapeError);
  CHECK_THROWS_AS(add_layer_norm(tensor({2, 3}), tensor({3, 2}), 0, {}, width, width, 1e-5),
                  ShapeError);
  CHECK_THROWS_AS(add_layer_norm(tensor({2, 3}), transposed({3, 2}), 0, {}, width, width, 1e-5),
                  ShapeError);
}

TEST_CASE("embedding: refuses what does not fit") {
  const Tensor tokens = full({4}, DType::i32, 1);
  CHECK_THROWS_AS(embedding(tokens, tensor({3})), ShapeError);
  CHECK_THROWS_AS(embedding(tokens, transposed({3, 5})), ShapeError);
  CHECK_THROWS_AS(embedding(full({4, 2}, DType::i32, 1).select(1, 0), tensor({5, 3})), ShapeError);
  CHECK_THROWS_AS(embedding(tensor({4}), tensor({5, 3})), DTypeError);
}

TEST_CASE("cross_entropy: refuses what does not fit") {
  const Tensor targets = full({4}, DType::i32, 1), weights = full({4}, DType::f32, 1);
  CHECK_THROWS_AS(cross_entropy(tensor({5, 3}), targets, weights), ShapeError);
  CHECK_THROWS_AS(cross_entropy(tensor({4, 3}), targets, full({5}, DType::f32, 1)), ShapeError);
  CHECK_THROWS_AS(cross_entropy(transposed({3, 4}), targets, weights), ShapeError);
  CHECK_THROWS_AS(cross_entropy(tensor({4, 3}), targets, full({4}, DType::f64, 1)), DTypeError);
  CHECK_THROWS_AS(cross_entropy(tensor({4, 3}), weights, weights), DTypeError);
}

TEST_CASE("ctc: refuses what does not fit") {
  const Tensor logits = tensor({2, 5, 3}), labels = full({2, 2}, DType::i32, 1);
  const Tensor lengths = full({2}, DType::i32, 1), three = full({3}, DType::i32, 1);
  CHECK_NOTHROW(ctc(logits, labels, lengths, lengths));
  CHECK_THROWS_AS(ctc(tensor({5, 3}), labels, lengths, lengths), ShapeError);
  CHECK_THROWS_AS(ctc(tensor({2, 5, 0}), labels, lengths, lengths), ShapeError);
  CHECK_THROWS_AS(ctc(logits, full({3, 2}, DType::i32, 1), lengths, lengths), ShapeError);
  CHECK_THROWS_AS(ctc(logits, labels, three, lengths), ShapeError);
  CHECK_THROWS_AS(ctc(logits, labels, lengths, three), ShapeError);
  CHECK_THROWS_AS(ctc(transposed({5, 2, 3}), labels, lengths, lengths), ShapeError);
  CHECK_THROWS_AS(ctc(logits, labels.transpose(0, 1), lengths, lengths), ShapeError);
  CHECK_THROWS_AS(ctc(logits, tensor({2, 2}), lengths, lengths), DTypeError);
  CHECK_THROWS_AS(ctc(logits, labels, tensor({2}), lengths), DTypeError);
}

TEST_CASE("logistic_mixture: refuses what does not fit") {
  const Tensor targets = tensor({4});
  CHECK_THROWS_AS(logistic_mixture(tensor({4, 8}), targets), ShapeError);
  CHECK_THROWS_AS(logistic_mixture(tensor({4, 0}), targets), ShapeError);
  CHECK_THROWS_AS(logistic_mixture(tensor({5, 6}), targets), ShapeError);
  CHECK_THROWS_AS(logistic_mixture(tensor({0, 6}), tensor({0})), ShapeError);
  CHECK_THROWS_AS(logistic_mixture(transposed({6, 4}), targets), ShapeError);
  CHECK_THROWS_AS(logistic_mixture(tensor({4, 6}), every_other(4)), ShapeError);
  CHECK_THROWS_AS(logistic_mixture(tensor({4, 6}), full({4}, DType::f64, 0)), DTypeError);
  CHECK_THROWS_AS(logistic_mixture(tensor({4, 6}), full({4}, DType::i32, 0)), DTypeError);
}

TEST_CASE("unary and dropout: refuse strides that they cannot read") {
  CHECK_THROWS_AS(unary(transposed({3, 2}), Unary::relu), ShapeError);
  CHECK_THROWS_AS(unary(tensor({3, 4}).slice(1, 0, 2), Unary::gelu), ShapeError);
  CHECK_THROWS_AS(dropout(transposed({3, 2}), 0.5, {}), ShapeError);
  CHECK_THROWS_AS(dropout(tensor({3, 2}), 1, {}), Error);
  CHECK_THROWS_AS(dropout(tensor({3, 2}), -0.1, {}), Error);
}

TEST_CASE("views: refuse what is outside") {
  CHECK_THROWS_AS(ad::slice(tensor({3, 2}), 0, 2, 2), ShapeError);
  CHECK_THROWS_AS(ad::transpose(tensor({3, 2}), 0, 2), ShapeError);
  CHECK_THROWS_AS(concat(tensor({3, 2}), tensor({2, 2})), ShapeError);
}

TEST_CASE("bi_lstm: refuses what does not fit") {
  const Tensor x = tensor({2, 5, 3});
  const LstmWeights good{tensor({16, 3}), tensor({16, 4}), tensor({16}), tensor({16})};
  CHECK(bi_lstm(x, {}, good, good).shape() == Shape{2, 5, 8});
  const auto refused = [&](const Tensor& input, const Tensor& lengths, const LstmWeights& weights) {
    CHECK_THROWS_AS(bi_lstm(input, lengths, good, weights), ShapeError);
  };
  refused(tensor({5, 3}), {}, good);
  refused(tensor({2, 5, 4}), {}, good);
  refused(tensor({5, 2, 3}).transpose(0, 1), {}, good);
  refused(x, full({3}, DType::i32, 1), good);
  refused(x, {}, {tensor({16, 2}), good.recurrent, good.input_bias, good.recurrent_bias});
  refused(x, {}, {good.input, tensor({12, 3}), good.input_bias, good.recurrent_bias});
  refused(x, {}, {good.input, tensor({16, 3}), good.input_bias, good.recurrent_bias});
  refused(x, {}, {good.input, good.recurrent, tensor({12}), good.recurrent_bias});
  refused(x, {}, {good.input, good.recurrent, good.input_bias, every_other(16)});
  CHECK_THROWS_AS(bi_lstm(x, full({2}, DType::i32, 6), good, good), ShapeError);
}

TEST_CASE("attention: refuses what does not fit") {
  const Tensor q = tensor({2, 5, 3, 4}), longer = tensor({2, 6, 3, 4});
  const auto refused = [](const Tensor& query, const Tensor& key, const Tensor& value,
                          const Tensor& lengths) {
    CHECK_THROWS_AS(causal_linear_attention({query, key, value}, lengths, 1e-6), ShapeError);
    CHECK_THROWS_AS(linear_attention({query, key, value}, lengths, 1e-6), ShapeError);
    CHECK_THROWS_AS(softmax_attention({query, key, value}, lengths, {}), ShapeError);
  };
  refused(tensor({2, 5, 4}), q, q, {});
  refused(tensor({1, 5, 3, 4}), q, q, {});
  refused(tensor({2, 5, 1, 4}), q, q, {});
  refused(tensor({2, 5, 3, 2}), q, q, {});
  refused(q, longer, q, {});
  refused(q, q, tensor({2, 5, 3, 4}).transpose(2, 3), {});
  refused(q, q, q, full({3}, DType::i32, 1));
  refused(q, q, q, full({2, 2}, DType::i32, 1).select(1, 0));
  CHECK_THROWS_AS(causal_linear_attention({q, longer, longer}, {}, 1e-6), ShapeError);
}

TEST_CASE("lsh_order and lsh_attention: refuse what does not fit") {
  const Tensor q = tensor({2, 5, 3, 4}), planes = tensor({2, 4, 8});
  const Tensor order = lsh_order(q, planes, {});
  CHECK_THROWS_AS(lsh_order(tensor({2, 5, 4}), planes, {}), ShapeError);
  CHECK_THROWS_AS(lsh_order(q, tensor({2, 8, 4}), {}), ShapeError);
  CHECK_THROWS_AS(lsh_order(q, planes, full({3}, DType::i32, 1)), ShapeError);
  CHECK_THROWS_AS(lsh_attention(q, tensor({2, 6, 3, 4}), {}, order, {}), ShapeError);
  CHECK_THROWS_AS(lsh_attention(q, tensor({2, 5, 3, 4}).transpose(2, 3), {}, order, {}),
                  ShapeError);
  CHECK_THROWS_AS(lsh_attention(q, q, {}, order.slice(3, 0, 4), {}), ShapeError);
  CHECK_THROWS_AS(lsh_attention(q, q, full({2, 2}, DType::i32, 1).select(1, 0), order, {}),
                  ShapeError);
  CHECK_THROWS_AS(lsh_attention(q, q, {}, order, {.chunk = 0}), Error);
}

}  // namespace
}  // namespace tarn::ad
