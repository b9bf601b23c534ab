// What each recorded op of op_cases.def is tried on. The gradient checks, the comparisons with
// tests/reference, the tests of threads and instruction sets and the coverage test of kernels.def
// all read it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "core/tensor.h"

namespace tarn::test {

enum class Layout {
  contiguous,
  strided,     // rows apart, with NaN between them
  outer_swap,  // stored with the two dimensions before the last swapped, as heads first
  transposed,  // stored with the last two dimensions swapped: the rows are not contiguous
};

struct OpInput {
  std::string name;
  Shape shape;
  Layout layout = Layout::contiguous;
  bool differentiable = true;
  // Element i, from a standard normal; the normal itself if empty.
  std::function<double(double normal, std::int64_t i)> value = {};
  std::optional<DType> dtype = {};  // one that does not follow the case's
};

using Tensors = std::vector<Tensor>;

struct OpCase {
  std::string op = {};  // the function in tarn::ad: op_cases() fills it in
  std::string variant;  // what is particular
  std::vector<OpInput> inputs;
  std::function<Tensor(const Tensors&)> build;
  std::function<Tensor(const Tensors&)> reference;  // in f64 on the CPU, whatever the inputs are
  double tolerance = 1e-5;  // of the f32 output, in units of its largest element
  // Sizes that kernels cut into pieces, too large for finite differences: run by the tests of
  // threads and instruction sets too.
  bool large = false;

  std::string str() const { return message(op, ": ", variant); }
};

const std::vector<OpCase>& op_cases();

// The tensor of an input, the same numbers in every dtype and layout and on every device.
Tensor make_input(const OpCase& op_case, const OpInput& input, DType dtype,
                  Device device = Device::cpu());
Tensors make_inputs(const OpCase& op_case, DType dtype, Device device = Device::cpu());

// One forward and backward on fresh inputs: the output, then the gradients of the differentiable
// inputs in their order.
Tensors run_forward_backward(const OpCase& op_case, DType dtype, Device device = Device::cpu());

// The cases of each op.
#define TARN_OP(name) std::vector<OpCase> name##_cases();
#include "tests/support/op_cases.def"

}  // namespace tarn::test
