// torch's gradients of a bidirectional LSTM of two layers, those through the last hidden states and
// cells among them (tests/golden/README.md).
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "autograd/lstm.h"
#include "autograd/views.h"
#include "core/check.h"
#include "core/io/safetensors.h"
#include "tests/support/paths.h"
#include "tests/support/random_tensor.h"

namespace tarn::ad {
namespace {

constexpr std::int64_t kBatch = 3, kFrames = 17, kIn = 12, kHidden = 8;

// The file's loss reads the last cells, which the op does not return. A frame more at either end
// does: it is flagged by an input of its own, whose weights shut the input gate and open the other
// two, so that the cell stays, the output is its tanh, and the direction that starts there still
// has zeros. Shut and open are exact, so nothing else changes.
class Golden {
 public:
  explicit Golden(DType dtype)
      : file_(test::source_dir() / "tests" / "golden" / "lstm_bi2.safetensors"), dtype_(dtype) {
    for (const char* layer : {"_l0", "_l1", "_l0_reverse", "_l1_reverse"}) {
      const std::string suffix = layer;
      add("weight_ih" + suffix, flagged(read("state_dict.weight_ih" + suffix)));
      for (const char* name : {"weight_hh", "bias_ih", "bias_hh"}) {
        add(name + suffix, read("state_dict." + (name + suffix)));
      }
    }
    const Tensor x = test::full({kBatch, kFrames + 2, kIn + 1}, dtype, 0);
    const Tensor given = read("x");
    for (std::int64_t n = 0; n < kBatch; ++n) {
      for (const std::int64_t t : {std::int64_t{0}, kFrames + 1}) test::set(x, {n, t, kIn}, 1);
      for (std::int64_t t = 0; t < kFrames; ++t) {
        for (std::int64_t i = 0; i < kIn; ++i) {
          test::set(x, {n, t + 1, i}, test::get(given, {n, t, i}));
        }
      }
    }
    add("x", x);
  }

  Tensor read(const std::string& name) const { return test::cast(file_.read(name), dtype_); }

  // Both layers' outputs beside each other, [N, frames + 2, 4 hidden]; gradients are then there.
  Tensor run() {
    Tape tape;
    Tensor outs;
    {
      const Recording recording = tape.record();
      const Tensor x = parameters_.at("x")->tensor();
      const Tensor first = layer(x, "_l0");
      outs = concat(first, layer(concat(first, contiguous(slice(x, -1, kIn, 1))), "_l1"));
    }
    tape.backward(outs, loss_gradient(outs));
    return outs;
  }

  // Largest difference of any gradient from the file's, in units of the largest of all.
  double gradient_error(const std::string& prefix) const {
    double largest = 0, difference = 0;
    for (const auto& entry : parameters_) {
      const Tensor expected = file_.read(prefix + entry.first);
      Tensor grad = entry.second->grad();
      if (entry.first == "x") grad = grad.slice(1, 1, kFrames);
      if (grad.size(-1) > expected.size(-1)) grad = grad.slice(-1, 0, expected.size(-1));
      largest = std::max(largest, test::max_abs(expected));
      difference = std::max(difference, test::max_abs_difference(grad, expected));
    }
    return difference / largest;
  }

  // Columns, and the frame, where a direction's last hidden state lies (`beyond` 0) or its last
  // cell's tanh (1).
  static Tensor last(const Tensor& outs, std::int64_t layer, std::int64_t direction,
                     std::int64_t beyond) {
    const std::int64_t frame = direction == 0 ? kFrames + beyond : 1 - beyond;
    return outs.select(1, frame).slice(-1, (2 * layer + direction) * kHidden, kHidden);
  }

 private:
  void add(const std::string& name, const Tensor& value) {
    parameters_[name] = std::make_unique<Parameter>(name, value);
  }

  static Tensor flagged(const Tensor& weight) {
    const std::int64_t in = weight.size(1);
    const Tensor wide = Tensor::empty({4 * kHidden, in + 1}, weight.dtype(), Device::cpu());
    const double flag[] = {-1e4, 1e4, 0, 1e4};
    for (std::int64_t g = 0; g < 4 * kHidden; ++g) {
      for (std::int64_t i = 0; i < in; ++i) test::set(wide, {g, i}, test::get(weight, {g, i}));
      test::set(wide, {g, in}, flag[g / kHidden]);
    }
    return wide;
  }

  Tensor layer(const Tensor& x, const std::string& suffix) {
    const auto weights = [&](const std::string& end) {
      const auto at = [&](const char* name) { return parameters_.at(name + end)->tensor(); };
      return LstmWeights{at("weight_ih"), at("weight_hh"), at("bias_ih"), at("bias_hh")};
    };
    return bi_lstm(x, {}, weights(suffix), weights(suffix + "_reverse"));
  }

  Tensor loss_gradient(const Tensor& outs) const {
    const Tensor grad = test::full(outs.shape(), dtype_, 0);
    const Tensor to_out = grad.slice(1, 1, kFrames).slice(-1, 2 * kHidden, 2 * kHidden);
    const Tensor w_out = read("w_out"), w_h = read("w_h"), w_c = read("w_c");
    for (std::int64_t i = 0; i < w_out.elements(); ++i) test::set(to_out, i, test::get(w_out, i));
    for (std::int64_t index = 0; index < 4; ++index) {
      const Tensor hidden = last(grad, index / 2, index % 2, 0);
      const Tensor cell = last(grad, index / 2, index % 2, 1);
      const Tensor squashed = last(outs, index / 2, index % 2, 1);
      const Tensor to_hidden = w_h.select(0, index), to_cell = w_c.select(0, index);
      for (std::int64_t i = 0; i < hidden.elements(); ++i) {
        test::set(hidden, i, test::get(hidden, i) + test::get(to_hidden, i));
        const double derivative = 1 - std::pow(test::get(squashed, i), 2);
        test::set(cell, i, test::get(to_cell, i) / derivative);
      }
    }
    return grad;
  }

  SafetensorsFile file_;
  DType dtype_;
  std::map<std::string, std::unique_ptr<Parameter>> parameters_;
};

void check_golden(DType dtype, const std::string& prefix, double tolerance) {
  Golden golden(dtype);
  const Tensor outs = golden.run();
  const Tensor output = outs.slice(1, 1, kFrames).slice(-1, 2 * kHidden, 2 * kHidden);
  CHECK(test::max_abs_difference(output, golden.read(prefix + "output")) < tolerance);
  const Tensor h_n = golden.read(prefix + "h_n"), c_n = golden.read(prefix + "c_n");
  for (std::int64_t index = 0; index < 4; ++index) {
    CAPTURE(index);
    const Tensor hidden = Golden::last(outs, index / 2, index % 2, 0);
    CHECK(test::max_abs_difference(hidden, h_n.select(0, index)) < tolerance);
    const Tensor cell = test::copy_of(Golden::last(outs, index / 2, index % 2, 1));
    for (std::int64_t i = 0; i < cell.elements(); ++i) {
      test::set(cell, i, std::atanh(test::get(cell, i)));
    }
    CHECK(test::max_abs_difference(cell, c_n.select(0, index)) < tolerance);
  }
  const double error = golden.gradient_error(prefix + "grad.");
  CHECK(error < tolerance);
  MESSAGE(message(name_of(dtype), ": gradients within ", error, " of the largest"));
}

TEST_CASE("golden: a bidirectional LSTM's last states and every gradient are torch's") {
  check_golden(DType::f32, "", 2e-6);
  check_golden(DType::f64, "f64.", 1e-12);
}

}  // namespace
}  // namespace tarn::ad
