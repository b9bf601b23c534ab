// The gradients of larger layers than finite differences of each weight can afford.
#include "autograd/lstm.h"

#include <doctest/doctest.h>

#include <cmath>
#include <memory>

#include "tests/support/random_tensor.h"

namespace tarn::ad {
namespace {

// A layer's parameters: x, then the four weights of each direction.
struct Layer {
  Layer(std::int64_t frames, std::int64_t in, std::int64_t hidden,
        const std::vector<double>& lengths_of)
      : lengths(test::from_vector({static_cast<std::int64_t>(lengths_of.size())}, lengths_of,
                                  DType::i32)) {
    add({lengths.elements(), frames, in}, 1);
    for (int direction = 0; direction < 2; ++direction) {
      const double scale = 1 / std::sqrt(static_cast<double>(hidden));
      for (const Shape& shape : {Shape{4 * hidden, in}, Shape{4 * hidden, hidden},
                                 Shape{4 * hidden}, Shape{4 * hidden}}) {
        add(shape, scale);
      }
    }
  }

  Tensor forward() const {
    const auto at = [&](std::size_t i) { return parameters[i]->tensor(); };
    return bi_lstm(at(0), lengths, {at(1), at(2), at(3), at(4)}, {at(5), at(6), at(7), at(8)});
  }

  Tensor lengths;
  std::vector<std::unique_ptr<Parameter>> parameters;

 private:
  void add(const Shape& shape, double scale) {
    const std::string name = message("parameter ", parameters.size());
    const Tensor value = test::random_tensor(shape, DType::f64, name);
    for (std::int64_t i = 0; i < value.elements(); ++i) {
      test::set(value, i, scale * test::get(value, i));
    }
    parameters.push_back(std::make_unique<Parameter>(name, value));
  }
};

double dot(const Tensor& a, const Tensor& b) {
  double total = 0;
  for (std::int64_t i = 0; i < a.elements(); ++i) total += test::get(a, i) * test::get(b, i);
  return total;
}

void check_along_random_directions(const Layer& layer) {
  const Tensor grad_out = test::random_tensor(layer.forward().shape(), DType::f64, "grad_out");
  Tape tape;
  Tensor out;
  {
    const Recording recording = tape.record();
    out = layer.forward();
  }
  tape.backward(out, grad_out);
  for (const auto& parameter : layer.parameters) {
    CAPTURE(parameter->name());
    const Tensor value = parameter->value();
    const Tensor old = test::copy_of(value);
    const Tensor way = test::random_tensor(value.shape(), DType::f64, parameter->name(), 2);
    const auto loss_at = [&](double step) {
      for (std::int64_t i = 0; i < value.elements(); ++i) {
        test::set(value, i, test::get(old, i) + step * test::get(way, i));
      }
      return dot(layer.forward(), grad_out);
    };
    constexpr double kStep = 1e-5;
    const double difference = (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep);
    loss_at(0);
    const double expected = dot(parameter->grad(), way);
    CHECK(std::abs(difference - expected) <=
          1e-7 * std::sqrt(dot(parameter->grad(), parameter->grad()) * dot(way, way)));
  }
}

TEST_CASE("bi_lstm: gradients along random directions, very unequal lengths") {
  check_along_random_directions(Layer(41, 7, 63, {41, 1, 3}));
  check_along_random_directions(Layer(5, 1, 35, {5, 4, 5, 0, 1, 5, 2, 5, 5, 1, 3}));
}

TEST_CASE("bi_lstm: without a tape the output is the same and nothing else is kept") {
  const Layer layer(5, 3, 7, {5, 2});
  const Tensor plain = layer.forward();
  Tape tape;
  const Recording recording = tape.record();
  CHECK(test::max_abs_difference(layer.forward(), plain) == 0);
  CHECK(tape.nodes() == 1);
}

}  // namespace
}  // namespace tarn::ad
