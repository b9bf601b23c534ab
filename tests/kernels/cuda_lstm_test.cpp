// The LSTM kernels of CUDA devices against the CPU's on the same inputs.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/transfer.h"
#include "kernels/lstm.h"
#include "kernels/table.h"
#include "tests/support/compare_devices.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::compare;
using test::kFloats;
using test::random_tensor;
using Tensors = std::vector<Tensor>;
using Lengths = std::vector<double>;

double tolerance(DType dtype) { return dtype == DType::f32 ? 1e-5 : 1e-12; }

// What runs on a device is made on the CPU. Frames past a length hold NaN, which must not be read,
// and cells that no frame writes keep what they held.
struct Problem {
  Tensor gates, weight, reverse, lengths, cells, out, grad_out, previous;

  // Without lengths every sequence has all frames.
  Problem(std::int64_t batch, std::int64_t frames, std::int64_t hidden, const Lengths& lengths_of,
          DType dtype)
      : gates(random_tensor({2, batch, frames, 4 * hidden}, dtype, "gates")),
        weight(random_tensor({4 * hidden, hidden}, dtype, "weight")),
        reverse(random_tensor({4 * hidden, hidden}, dtype, "reverse")),
        cells(random_tensor({2, batch, frames, hidden}, dtype, "cells")),
        out(random_tensor({batch, frames, 2 * hidden}, dtype, "out")),
        grad_out(random_tensor({batch, frames, 2 * hidden}, dtype, "grad_out")),
        previous(random_tensor({2, batch, frames, hidden}, dtype, "previous")) {
    // As wide as initial values are: wider ones saturate the gates.
    for (const Tensor& w : {weight, reverse}) {
      for (std::int64_t i = 0; i < w.elements(); ++i) {
        test::set(w, i, test::get(w, i) / std::sqrt(static_cast<double>(hidden)));
      }
    }
    if (lengths_of.empty()) return;
    lengths = test::from_vector({batch}, lengths_of, DType::i32);
    for (std::int64_t n = 0; n < batch; ++n) {
      const auto length = static_cast<std::int64_t>(test::get(lengths, n));
      for (std::int64_t t = length; t < frames; ++t) {
        test::fill(grad_out.select(0, n).select(0, t), std::nan(""));
        for (const std::int64_t d : {0, 1}) {
          test::fill(gates.select(0, d).select(0, n).select(0, t), std::nan(""));
        }
      }
    }
  }

  void move_to(Device device) {
    for (Tensor* t : {&gates, &weight, &reverse, &cells, &out, &grad_out, &previous}) {
      *t = copy_to(*t, device);
    }
    if (lengths.defined()) lengths = copy_to(lengths, device);
  }
  void forward() const {
    run(&Table::lstm_forward, out.device(),
        {.gates = gates,
         .weight = weight,
         .reverse = reverse,
         .lengths = lengths,
         .cells = cells,
         .out = out});
  }
  void backward() const {
    run(&Table::lstm_backward, out.device(),
        {.gates = gates,
         .weight = weight,
         .reverse = reverse,
         .lengths = lengths,
         .cells = cells,
         .out = out,
         .grad_out = grad_out,
         .previous = previous});
  }
};

TEST_CASE("cuda: lstm of sequences that differ in length") {
  struct Case {
    std::int64_t batch, frames, hidden;
    Lengths lengths;
  };
  const std::vector<Case> cases = {
      {1, 1, 1, {}},
      {1, 5, 1, {5}},
      {3, 7, 1, {1, 7, 3}},
      {1, 6, 63, {}},
      {1, 6, 63, {1}},
      {3, 6, 63, {6, 1, 4}},
      {1, 3, 100, {2}},
      {3, 4, 100, {}},
      {3, 5, 100, {0, 5, 1}},
      {3, 4, 35, {0, 0, 0}},
      {17, 2, 5, Lengths(17, 1)},
      {2, 3, 257, {3, 2}},
  };
  for (const DType dtype : kFloats) {
    for (const Case& c : cases) {
      CAPTURE(message("batch ", c.batch, " frames ", c.frames, " hidden ", c.hidden));
      compare(dtype, tolerance(dtype), [&](Device device) {
        Problem p(c.batch, c.frames, c.hidden, c.lengths, dtype);
        p.move_to(device);
        p.forward();
        p.backward();
        return Tensors{p.cells, p.out, p.gates, p.previous};
      });
    }
  }
}

TEST_CASE("cuda: lstm without cells has the outputs that it has with them") {
  for (const DType dtype : kFloats) {
    compare(dtype, tolerance(dtype), [&](Device device) {
      Problem with(3, 5, 63, {5, 1, 3}, dtype), without = with;
      without.gates = test::copy_of(with.gates);
      without.out = test::copy_of(with.out);
      with.move_to(device);
      without.move_to(device);
      without.cells = {};
      with.forward();
      without.forward();
      CHECK(test::max_abs_difference(test::on_host(with.out), test::on_host(without.out)) == 0);
      return Tensors{without.out};
    });
  }
}

TEST_CASE("cuda: lstm gates that are shut or open are so exactly, and a NaN reaches the output") {
  for (const DType dtype : kFloats) {
    compare(dtype, 0, [&](Device device) {
      Problem p(1, 1, 63, {}, dtype);
      const double sums[] = {1e4, -1e4, 1e4, -1e4};  // input, forget, candidate and output
      for (std::int64_t i = 0; i < p.gates.elements(); ++i) {
        test::set(p.gates, i, sums[i / 63 % 4]);
      }
      p.move_to(device);
      p.forward();
      const Tensor gates = test::copy_of(test::on_host(p.gates));
      p.backward();
      return Tensors{gates, p.gates, p.out};
    });
    for (const std::int64_t gate : {0, 1, 2, 3}) {
      for (const Device device : test::devices()) {
        Problem p(1, 2, 40, {}, dtype);
        test::set(p.gates, {0, 0, 1, gate * 40 + 39}, std::nan(""));
        p.move_to(device);
        p.forward();
        CHECK(std::isnan(test::get(test::on_host(p.out), {0, 1, 39})));
      }
    }
  }
}

TEST_CASE("cuda: lstm of no sequences, and of no frames") {
  for (const DType dtype : kFloats) {
    for (const std::int64_t batch : {0, 3}) {
      compare(dtype, 0, [&](Device device) {
        Problem p(batch, batch == 0 ? 5 : 0, 3, Lengths(static_cast<std::size_t>(batch), 0), dtype);
        p.move_to(device);
        p.forward();
        p.backward();
        return Tensors{p.out, p.gates, p.previous};
      });
    }
  }
}

}  // namespace
}  // namespace tarn::kernels
