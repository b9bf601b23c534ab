// Calls of every kernel, each large enough to be cut into several pieces of parallel work: the
// large cases of op_cases.h, and those of this list, of kernels without an op or with arguments
// that no op gives. Tests of what holds for all kernels (threads, instruction sets) run them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "core/tensor.h"

namespace tarn::test {

struct KernelCall {
  std::string_view name;  // a kernel of kernels.def, or an op whose kernels are called
  std::string variant;
  std::function<std::vector<Tensor>(DType)> run;  // returns fresh outputs

  std::string str() const { return message(name, variant.empty() ? "" : ": ", variant); }
};

const std::vector<KernelCall>& kernel_calls();

std::vector<KernelCall> layer_calls();
std::vector<KernelCall> update_calls();
std::vector<KernelCall> attention_calls();
std::vector<KernelCall> ctc_calls();
std::vector<KernelCall> recurrent_calls();
std::vector<KernelCall> sampling_calls();

// Uniform in [-1, 1) by address: cheaper than normals, for large tensors.
Tensor uniform_tensor(const Shape& shape, DType dtype, std::string_view name);

}  // namespace tarn::test
