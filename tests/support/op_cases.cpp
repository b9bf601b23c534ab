#include "tests/support/op_cases.h"

#include <cmath>
#include <limits>
#include <memory>

#include "autograd/tape.h"
#include "tests/support/random_tensor.h"

namespace tarn::test {
namespace {

Shape swapped(Shape shape, int a, int b) {
  std::swap(shape[a], shape[b]);
  return shape;
}

Tensor blank(const OpInput& input, DType dtype) {
  const Device cpu = Device::cpu();
  switch (input.layout) {
    case Layout::contiguous:
      return Tensor::empty(input.shape, dtype, cpu);
    case Layout::strided: {
      const std::int64_t width = input.shape.back();
      const Tensor wide = full(input.shape.without_last().with(width + 3), dtype,
                               std::numeric_limits<double>::quiet_NaN());
      return wide.slice(-1, 1, width);
    }
    case Layout::outer_swap:
      return Tensor::empty(swapped(input.shape, -2, -3), dtype, cpu).transpose(-2, -3);
    case Layout::transposed:
      return Tensor::empty(swapped(input.shape, -1, -2), dtype, cpu).transpose(-1, -2);
  }
  return {};
}

}  // namespace

Tensor make_input(const OpCase& op_case, const OpInput& input, DType dtype) {
  Tensor tensor = blank(input, input.dtype.value_or(dtype));
  const RngAddress address{1, site_of(op_case.op + "." + input.name), 0};
  for (std::int64_t i = 0; i < tensor.elements(); ++i) {
    const double normal = random_normal(address, static_cast<std::uint64_t>(i));
    set(tensor, i, input.value ? input.value(normal, i) : normal);
  }
  return tensor;
}

Tensors make_inputs(const OpCase& op_case, DType dtype) {
  Tensors tensors;
  for (const OpInput& input : op_case.inputs) tensors.push_back(make_input(op_case, input, dtype));
  return tensors;
}

Tensors run_forward_backward(const OpCase& op_case, DType dtype) {
  Tensors inputs = make_inputs(op_case, dtype);
  std::vector<std::unique_ptr<ad::Parameter>> parameters;
  ad::Tape tape;
  const Tensor out = [&] {
    const ad::Recording recording = tape.record();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!op_case.inputs[i].differentiable) continue;
      parameters.push_back(std::make_unique<ad::Parameter>(op_case.inputs[i].name, inputs[i]));
      inputs[i] = parameters.back()->tensor();
    }
    return op_case.build(inputs);
  }();
  tape.backward(out, random_tensor(out.shape(), dtype, "grad_out"));
  Tensors results{out};
  for (const auto& parameter : parameters) results.push_back(parameter->grad());
  return results;
}

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = [] {
    std::vector<OpCase> all;
    const auto add = [&all](const char* op, const std::vector<OpCase>& of_op) {
      for (const OpCase& c : of_op) all.emplace_back(c).op = op;
    };
#define TARN_OP(name) add(#name, name##_cases());
#include "tests/support/op_cases.def"
    return all;
  }();
  return cases;
}

}  // namespace tarn::test
