#include "optim/optimizer.h"

#include <doctest/doctest.h>

#include <limits>

#include "core/check.h"
#include "tests/optim/parameters.h"
#include "tests/optim/reference.h"
#include "tests/support/devices.h"

namespace tarn::optim {
namespace {

using reference::Trajectory;
using reference::Vector;
using test::Parameters;
using test::random_tensor;
using test::set_grad;
using test::to_vector;

constexpr int kSteps = 40;

// Sizes around those of vectors and of chunks.
std::vector<Tensor> starts(DType dtype) {
  std::vector<Tensor> values;
  for (const Shape& shape : {Shape{7, 5}, Shape{1}, Shape{64, 67}, Shape{5000}}) {
    values.push_back(random_tensor(shape, dtype, message("start", values.size())));
  }
  return values;
}

// Long and short gradients, so that some are clipped.
Tensor gradient(const Tensor& like, std::size_t parameter, int step) {
  Tensor grad = random_tensor(like.shape(), like.dtype(), message("grad", parameter, ".", step));
  const double scale = step % 3 == 0 ? 5.0 : 0.01;
  for (std::int64_t i = 0; i < grad.elements(); ++i) test::set(grad, i, scale * test::get(grad, i));
  return grad;
}

// How far an optimizer of these options goes from its definition in kSteps steps.
double error_of(const OptimizerOptions& options, DType dtype) {
  const Parameters parameters(starts(dtype));
  std::vector<Trajectory> expected;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    expected.emplace_back(to_vector(parameters[p].value()));
  }
  const auto optimizer = make_optimizer(parameters.pointers(), options);
  for (int step = 0; step < kSteps; ++step) {
    const double lr = step < 20 ? 0.01 : 0.001;
    std::vector<Vector> grads;
    double squares = 0;
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      const Tensor grad = gradient(parameters[p].value(), p, step);
      set_grad(parameters[p], grad);
      grads.push_back(to_vector(grad));
      squares += std::pow(reference::norm_of(grads.back()), 2);
    }
    CHECK(optimizer->step(lr) == doctest::Approx(std::sqrt(squares)).epsilon(1e-6));
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      const double norm =
          options.clip == Clip::global ? std::sqrt(squares) : reference::norm_of(grads[p]);
      for (double& g : grads[p]) g *= reference::clip_of(norm, options.max_grad_norm);
      expected[p].update(options, step + 1, lr, grads[p]);
    }
  }
  CHECK(optimizer->updates() == kSteps);
  double error = 0;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const Tensor& value = parameters[p].value();
    error = std::max(error, test::max_abs_difference(
                                value, test::from_vector(value.shape(), expected[p].value)));
  }
  return error;
}

TEST_CASE("optimizer: every kind moves as its definition says") {
  for (const std::string_view kind : optimizer_kinds()) {
    for (const Clip clip : {Clip::per_tensor, Clip::global}) {
      for (const double limit : {0.0, 1.0}) {
        OptimizerOptions options;
        options.kind = kind;
        options.clip = clip;
        options.max_grad_norm = limit;
        options.weight_decay = 0.1;
        options.beta2 = limit > 0 ? 0.999 : 0.95;
        CAPTURE(options.kind);
        CAPTURE(limit);
        CHECK(error_of(options, DType::f64) < 1e-12);
        CHECK(error_of(options, DType::f32) < 3e-5);
      }
    }
  }
}

TEST_CASE("optimizer: a tensor without a gradient is left alone, decay and moments too") {
  for (const std::string_view kind : optimizer_kinds()) {
    CAPTURE(kind);
    OptimizerOptions options;
    options.kind = kind;
    const Parameters parameters(
        {random_tensor({4, 3}, DType::f32, "a"), random_tensor({5}, DType::f32, "b")});
    const auto optimizer = make_optimizer(parameters.pointers(), options);
    const Vector untouched = to_vector(parameters[1].value());
    const Vector before = to_vector(parameters[0].value());
    for (int step = 0; step < 3; ++step) {
      set_grad(parameters[0], random_tensor({4, 3}, DType::f32, "g"));
      optimizer->step(0.1);
    }
    CHECK(to_vector(parameters[0].value()) != before);
    CHECK(to_vector(parameters[1].value()) == untouched);
    for (const NamedState& state : optimizer->state()) {
      CAPTURE(state.name);
      CHECK((test::max_abs(state.value) > 0) == state.name.ends_with(".p0"));
    }
    // A step without any gradient moves nothing.
    const Vector moved = to_vector(parameters[0].value());
    CHECK(optimizer->step(0.1) == 0);
    CHECK(to_vector(parameters[0].value()) == moved);
  }
}

TEST_CASE("optimizer: a gradient that is not finite changes nothing") {
  for (const double bad :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    for (const std::string_view kind : optimizer_kinds()) {
      CAPTURE(kind);
      OptimizerOptions options;
      options.kind = kind;
      const Parameters parameters(
          {random_tensor({4, 3}, DType::f32, "a"), random_tensor({5}, DType::f32, "b")});
      const auto optimizer = make_optimizer(parameters.pointers(), options);
      const auto set_both = [&](double last) {
        set_grad(parameters[0], random_tensor({4, 3}, DType::f32, "g"));
        set_grad(parameters[1], Vector{1, 2, 3, 4, last});
      };
      set_both(5);
      optimizer->step(0.1);
      const auto all = [&] {
        std::vector<Vector> values;
        for (const auto* parameter : parameters.pointers()) {
          values.push_back(to_vector(parameter->value()));
        }
        for (const NamedState& state : optimizer->state()) values.push_back(to_vector(state.value));
        return values;
      };
      const auto before = all();
      set_both(bad);
      CHECK_FALSE(std::isfinite(optimizer->step(0.1)));
      CHECK(all() == before);
      CHECK(optimizer->updates() == 1);
      CHECK(parameters[0].has_grad());
      CHECK(parameters[1].has_grad());
    }
  }
}

// Two updates on their way at once, as the trainer has them on a device.
TEST_CASE("optimizer: an update that is queued behind a bad one changes nothing either") {
  test::for_each_device([](Device device) {
    for (const bool watched_is_bad : {false, true}) {
      const Parameters parameters({copy_to(random_tensor({300}, DType::f32, "a"), device)});
      const auto optimizer = make_optimizer(parameters.pointers(), {});
      const auto queue = [&](double last, double watched) {
        Tensor grad = random_tensor({300}, DType::f32, "g");
        test::set(grad, 299, last);
        set_grad(parameters[0], copy_to(grad, device));
        return optimizer->queue(0.1,
                                copy_to(test::from_vector({2}, {3, watched}, DType::f64), device));
      };
      const auto all = [&] {
        std::vector<Vector> values{to_vector(test::on_host(parameters[0].value()))};
        for (const NamedState& state : optimizer->state()) {
          values.push_back(to_vector(test::on_host(state.value)));
        }
        return values;
      };
      const double bad = std::numeric_limits<double>::quiet_NaN();
      QueuedUpdate good = queue(1, 4);
      CHECK_FALSE(parameters[0].has_grad());
      const auto before = all();
      QueuedUpdate first = queue(watched_is_bad ? 1 : bad, watched_is_bad ? bad : 4);
      QueuedUpdate second = queue(1, 5);
      CHECK(optimizer->updates() == 3);
      const UpdateFigures figures = optimizer->finish(good);
      CHECK(std::isfinite(figures.norm));
      CHECK(figures.watched == std::vector<double>{3, 4});
      const UpdateFigures of_first = optimizer->finish(first);
      CHECK(std::isfinite(of_first.norm) == watched_is_bad);
      CHECK(optimizer->updates() == 1);
      CHECK(all() == before);
      // From here on it updates again.
      QueuedUpdate third = queue(1, 6);
      CHECK(third.number == 2);
      CHECK(optimizer->finish(third).watched[1] == 6);
      CHECK(all() != before);
    }
  });
}

TEST_CASE("optimizer: a moment that overflows is an error that names it and the update") {
  for (const std::string_view kind : optimizer_kinds()) {
    CAPTURE(kind);
    OptimizerOptions options;
    options.kind = kind;
    options.max_grad_norm = 0;
    const bool sgd = kind == "sgd";
    const auto last = [&](double grad, DType dtype, bool clip = false) {
      options.max_grad_norm = clip ? 1 : 0;
      const Parameters parameters({test::full({3}, dtype, 0.5), test::full({40}, dtype, 0.5)});
      const auto optimizer = make_optimizer(parameters.pointers(), options);
      for (int update = 0; update < 3; ++update) {
        set_grad(parameters[0], Vector{1, 2, 3});
        Vector second(40, 1.0);
        if (update > 0) second[39] = grad;
        set_grad(parameters[1], second);
        optimizer->step(1e-3);
      }
    };
    // SGD keeps no square: two such gradients have to meet.
    const double large = sgd ? 3e38 : 1e25;
    const std::string update = message(kind, ": update ", sgd ? 3 : 2, " made ");
    const char* moment = sgd ? "velocity.p1" : "v.p1";
    CHECK_THROWS_WITH_AS(last(large, DType::f32), doctest::Contains((update + moment).c_str()),
                         Error);
    CHECK_THROWS_AS(last(sgd ? 3e38 : 3.4e38, DType::f32), Error);
    CHECK_NOTHROW(last(1e19, DType::f32));
    CHECK_NOTHROW(last(large, DType::f32, true));
    CHECK_NOTHROW(last(large, DType::f64));
  }
}

// One update with a gradient of zero is the decay alone. In f32 the factor 1 - 2e-7 would be
// rounded to a decay of 1.8e-7 or 2.4e-7.
TEST_CASE("optimizer: a small decay is not lost in the digits of 1 - decay") {
  OptimizerOptions options;
  options.kind = "adamw";
  options.weight_decay = 1e-3;
  const Tensor start = random_tensor({20000}, DType::f32, "start");
  const Parameters parameters({start});
  const auto optimizer = make_optimizer(parameters.pointers(), options);
  set_grad(parameters[0], Vector(20000, 0.0));
  optimizer->step(2e-4);
  double lost = 0, whole = 0;
  for (std::int64_t i = 0; i < 20000; ++i) {
    const double before = test::get(start, i), after = test::get(parameters[0].value(), i);
    lost += before > 0 ? before - after : after - before;
    whole += std::abs(before);
  }
  CHECK(lost / whole == doctest::Approx(2e-7).epsilon(0.03));
}

TEST_CASE("optimizer: state and updates restore it") {
  for (const std::string_view kind : optimizer_kinds()) {
    CAPTURE(kind);
    OptimizerOptions options;
    options.kind = kind;
    const std::vector<Tensor> values = {random_tensor({6}, DType::f32, "a")};
    const Parameters whole(values), first(values);
    const auto step = [&](Optimizer& optimizer, ad::Parameter& parameter, int k) {
      set_grad(parameter, random_tensor({6}, DType::f32, message("g", k)));
      optimizer.step(0.01);
    };
    const auto one = make_optimizer(whole.pointers(), options);
    for (int k = 0; k < 12; ++k) step(*one, whole[0], k);
    const auto half = make_optimizer(first.pointers(), options);
    for (int k = 0; k < 7; ++k) step(*half, first[0], k);
    const Parameters second({first[0].value()});
    const auto rest = make_optimizer(second.pointers(), options);
    REQUIRE(rest->state().size() == half->state().size());
    for (std::size_t i = 0; i < rest->state().size(); ++i) {
      CHECK(rest->state()[i].name == half->state()[i].name);
      for (std::int64_t e = 0; e < 6; ++e) {
        test::set(rest->state()[i].value, e, test::get(half->state()[i].value, e));
      }
    }
    rest->set_updates(half->updates());
    for (int k = 7; k < 12; ++k) step(*rest, second[0], k);
    CHECK(to_vector(second[0].value()) == to_vector(whole[0].value()));
  }
}

// With gradients of 1 the moments are known: m_t = 1 - beta1^t, v_t = 1 - beta2^t. The factors are
// those of the authors' code: momentum for five steps, then c_6, c_7, ..., c_1000.
TEST_CASE("optimizer: the factors of the authors' RAdam") {
  const Parameters parameters({test::full({1}, DType::f64, 0)});
  OptimizerOptions options;
  options.weight_decay = 0;
  options.max_grad_norm = 0;
  const auto optimizer = make_optimizer(parameters.pointers(), options);
  const auto factor_at = [&](int t) {
    double before = 0;
    while (optimizer->updates() < t) {
      before = test::get(parameters[0].value(), 0);
      set_grad(parameters[0], Vector{1});
      optimizer->step(1);
    }
    return before - test::get(parameters[0].value(), 0);
  };
  const double momentum[] = {10.0, 5.263, 3.690, 2.908, 2.442};
  for (int t = 1; t <= 5; ++t) {
    const double m = 1 - std::pow(0.9, t);
    CHECK(factor_at(t) / m == doctest::Approx(momentum[t - 1]).epsilon(2e-4));
  }
  const std::pair<int, double> adaptive[] = {
      {6, 0.0042633}, {7, 0.0052425}, {100, 0.0664452}, {1000, 0.5131473}};
  for (const auto& [t, c] : adaptive) {
    const double m = 1 - std::pow(0.9, t), v = 1 - std::pow(0.999, t);
    CHECK(factor_at(t) * (std::sqrt(v) + 1e-8) / m == doctest::Approx(c).epsilon(1e-5));
  }
}

TEST_CASE("optimizer: names of moments, and of kinds that are not") {
  const Parameters parameters(
      {random_tensor({2}, DType::f32, "a"), random_tensor({3}, DType::f32, "b")});
  const auto names = [&](const std::string& kind) {
    OptimizerOptions options;
    options.kind = kind;
    std::string all;
    const auto optimizer = make_optimizer(parameters.pointers(), options);
    for (const NamedState& state : optimizer->state()) {
      all += state.name + " " + state.value.str() + "; ";
    }
    return all;
  };
  CHECK(names("sgd") == "velocity.p0 f32 [2]; velocity.p1 f32 [3]; ");
  CHECK(names("radam") == "m.p0 f32 [2]; v.p0 f32 [2]; m.p1 f32 [3]; v.p1 f32 [3]; ");
  CHECK_THROWS_WITH_AS(names("lamb"), doctest::Contains("sgd, adam, adamw, radam, radam-standard"),
                       ConfigError);
}

}  // namespace
}  // namespace tarn::optim
