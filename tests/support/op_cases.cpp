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

// What an input is a view of.
Tensor storage_of(const OpInput& input, DType dtype) {
  const Device cpu = Device::cpu();
  switch (input.layout) {
    case Layout::contiguous:
      return Tensor::empty(input.shape, dtype, cpu);
    case Layout::strided:
      return full(input.shape.without_last().with(input.shape.back() + 3), dtype,
                  std::numeric_limits<double>::quiet_NaN());
    case Layout::outer_swap:
      return Tensor::empty(swapped(input.shape, -2, -3), dtype, cpu);
    case Layout::transposed:
      return Tensor::empty(swapped(input.shape, -1, -2), dtype, cpu);
  }
  return {};
}

Tensor view_of(const OpInput& input, const Tensor& storage) {
  switch (input.layout) {
    case Layout::contiguous:
      return storage;
    case Layout::strided:
      return storage.slice(-1, 1, input.shape.back());
    case Layout::outer_swap:
      return storage.transpose(-2, -3);
    case Layout::transposed:
      return storage.transpose(-1, -2);
  }
  return {};
}

}  // namespace

Tensor make_input(const OpCase& op_case, const OpInput& input, DType dtype, Device device) {
  const Tensor storage = storage_of(input, input.dtype.value_or(dtype));
  Tensor tensor = view_of(input, storage);
  const RngAddress address{1, site_of(op_case.op + "." + input.name), 0};
  for (std::int64_t i = 0; i < tensor.elements(); ++i) {
    const double normal = random_normal(address, static_cast<std::uint64_t>(i));
    set(tensor, i, input.value ? input.value(normal, i) : normal);
  }
  return device == Device::cpu() ? tensor : view_of(input, copy_to(storage, device));
}

Tensors make_inputs(const OpCase& op_case, DType dtype, Device device) {
  Tensors tensors;
  for (const OpInput& input : op_case.inputs) {
    tensors.push_back(make_input(op_case, input, dtype, device));
  }
  return tensors;
}

Tensors run_forward_backward(const OpCase& op_case, DType dtype, Device device) {
  Tensors inputs = make_inputs(op_case, dtype, device);
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
  tape.backward(out, copy_to(random_tensor(out.shape(), dtype, "grad_out"), device));
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
