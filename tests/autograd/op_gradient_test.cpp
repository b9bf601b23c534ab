// The gradients of every op in tests/support/op_cases, in f64.
#include <doctest/doctest.h>

#include <cmath>
#include <memory>

#include "autograd/tape.h"
#include "tests/support/devices.h"
#include "tests/support/op_cases.h"
#include "tests/support/random_tensor.h"

namespace tarn::ad {
namespace {

using test::OpCase;
using test::Tensors;

constexpr double kTolerance = 1e-7;  // in units of the largest gradient
constexpr double kSame = 1e-12;      // of gradients that are the same sums in another order

// A case's inputs, the ones that want gradients as parameters.
struct Problem {
  Problem(const OpCase& c, Device device)
      : op_case(c), inputs(test::make_inputs(c, DType::f64, device)) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const bool expected = c.inputs[i].differentiable;
      parameters.push_back(expected ? std::make_unique<Parameter>(c.inputs[i].name, inputs[i])
                                    : nullptr);
    }
    grad_out = test::random_tensor(op_case.build(inputs).shape(), DType::f64, "grad_out");
  }

  // Forward and backward with the gradients of some inputs only, or of all.
  void record(std::size_t only = SIZE_MAX) {
    Tape tape;
    Tensor out;
    {
      const Recording recording = tape.record();
      Tensors recorded = inputs;
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        const bool taken = parameters[i] && (only == SIZE_MAX || only == i);
        if (taken) recorded[i] = parameters[i]->tensor();
      }
      out = op_case.build(recorded);
    }
    tape.backward(out, copy_to(grad_out, out.device()));
  }

  double loss() const {
    const Tensor out = test::on_host(op_case.build(inputs));
    double total = 0;
    for (std::int64_t i = 0; i < out.elements(); ++i) {
      total += test::get(out, i) * test::get(grad_out, i);
    }
    return total;
  }

  // The gradients so far, copied; of inputs without one, undefined.
  Tensors gradients() const {
    Tensors copies;
    for (const auto& parameter : parameters) {
      copies.push_back(parameter ? test::copy_of(parameter->grad()) : Tensor());
    }
    return copies;
  }

  void clear() {
    for (const auto& parameter : parameters) {
      if (parameter) parameter->clear_grad();
    }
  }

  const OpCase& op_case;
  Tensors inputs;
  std::vector<std::unique_ptr<Parameter>> parameters;
  Tensor grad_out;  // on the CPU
};

double largest(const Tensors& tensors) {
  double unit = 0;
  for (const Tensor& t : tensors) unit = t.defined() ? std::max(unit, test::max_abs(t)) : unit;
  return unit;
}

template <class Check>
void for_cases(std::string_view op, const Check& check) {
  int cases = 0;
  for (const OpCase& c : test::op_cases()) {
    if (c.op != op || c.large) continue;
    CAPTURE(c.str());
    test::for_each_device([&](Device device) { check(c, device); });
    ++cases;
  }
  CHECK(cases > 0);
}

// On the CPU alone, since each element takes two forward passes: kernels/device_test.cpp compares
// the gradients of other devices with the CPU's.
void check_finite_differences(const OpCase& c, Device device) {
  if (device != Device::cpu()) return;
  Problem p(c, device);
  p.record();
  const Tensors gradients = p.gradients();
  const double unit = largest(gradients);
  for (std::size_t i = 0; i < p.inputs.size(); ++i) {
    if (!p.parameters[i]) continue;
    CAPTURE(c.inputs[i].name);
    double worst = 0;
    for (std::int64_t e = 0; e < p.inputs[i].elements(); ++e) {
      const double expected = test::central_difference(p.inputs[i], e, [&] { return p.loss(); });
      const double difference = std::abs(test::get(gradients[i], e) - expected);
      if (!(difference <= worst)) worst = difference;
    }
    CHECK(worst <= kTolerance * unit);
  }
}

// Two recordings without clear_grad() make twice the gradient; after it, the first is overwritten.
void check_accumulation(const OpCase& c, Device device) {
  Problem p(c, device);
  p.record();
  const Tensors once = p.gradients();
  p.record();
  const Tensors twice = p.gradients();
  p.clear();
  p.record();
  const Tensors again = p.gradients();
  const double unit = largest(once);
  for (std::size_t i = 0; i < once.size(); ++i) {
    if (!once[i].defined()) continue;
    CAPTURE(c.inputs[i].name);
    CHECK(test::max_abs_difference(again[i], once[i]) == 0);
    double worst = 0;
    for (std::int64_t e = 0; e < once[i].elements(); ++e) {
      worst = std::max(worst, std::abs(test::get(twice[i], e) - 2 * test::get(once[i], e)));
    }
    CHECK(worst <= kSame * unit);
  }
}

// The gradient of an input is the same when it is the only one that is wanted.
void check_one_at_a_time(const OpCase& c, Device device) {
  Problem p(c, device);
  p.record();
  const Tensors all = p.gradients();
  const double unit = largest(all);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!p.parameters[i]) continue;
    CAPTURE(c.inputs[i].name);
    p.clear();
    p.record(i);
    CHECK(test::max_abs_difference(p.parameters[i]->grad(), all[i]) <= kSame * unit);
    for (std::size_t j = 0; j < all.size(); ++j) {
      if (p.parameters[j] && j != i) CHECK_FALSE(p.parameters[j]->has_grad());
    }
  }
}

#define TARN_OP(op)                                                \
  TEST_CASE(#op ": gradients equal finite differences") {          \
    for_cases(#op, check_finite_differences);                      \
  }                                                                \
  TEST_CASE(#op ": gradients accumulate until they are cleared") { \
    for_cases(#op, check_accumulation);                            \
  }                                                                \
  TEST_CASE(#op ": an input's gradient stands alone") { for_cases(#op, check_one_at_a_time); }
#include "tests/support/op_cases.def"

}  // namespace
}  // namespace tarn::ad
