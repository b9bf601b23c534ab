// One list of what each recorded op is tried on. The gradient checks, the comparisons with
// tests/reference and the coverage test of kernels.def all read it: a new op is new cases here.
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
  std::string op;                         // the function in tarn::ad
  std::string variant;                    // what is particular
  std::vector<std::string_view> kernels;  // that forward and backward call, of kernels.def
  std::vector<OpInput> inputs;
  std::function<Tensor(const Tensors&)> build;
  std::function<Tensor(const Tensors&)> reference;  // in f64, whatever the inputs are
  double tolerance = 1e-5;  // of the f32 output, in units of its largest element
  bool large = false;       // too many elements for finite differences

  std::string str() const { return message(op, ": ", variant); }
};

const std::vector<OpCase>& op_cases();

// The tensor of an input, the same numbers in every dtype and layout.
Tensor make_input(const OpCase& op_case, const OpInput& input, DType dtype);
Tensors make_inputs(const OpCase& op_case, DType dtype);

// The cases of one file each, which op_cases() joins.
std::vector<OpCase> layer_cases();      // linear, norms, embedding, loss
std::vector<OpCase> element_cases();    // activations, dropout, views
std::vector<OpCase> attention_cases();  // the three attentions
std::vector<OpCase> lsh_cases();        // lsh_attention
std::vector<OpCase> ctc_cases();        // the loss of unaligned labels
std::vector<OpCase> recurrent_cases();  // bi_lstm

}  // namespace tarn::test
