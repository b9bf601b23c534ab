// What tests/support/op_cases_recurrent.cpp cannot see: bits, padding and extreme gates.
#include "kernels/lstm.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/table.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::full;
using test::get;
using test::random_tensor;

const Device kCpu = Device::cpu();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// A batch, its forward and its backward.
struct Problem {
  Problem(std::int64_t frames, std::int64_t hidden, const std::vector<double>& lengths_of,
          DType dtype)
      : batch(static_cast<std::int64_t>(lengths_of.size())),
        gates(random_tensor({2, batch, frames, 4 * hidden}, dtype, "gates")),
        weight(random_tensor({4 * hidden, hidden}, dtype, "weight")),
        reverse(random_tensor({4 * hidden, hidden}, dtype, "reverse")),
        lengths(test::from_vector({batch}, lengths_of, DType::i32)),
        cells(full({2, batch, frames, hidden}, dtype, kNaN)),
        out(full({batch, frames, 2 * hidden}, dtype, kNaN)),
        grad_out(random_tensor({batch, frames, 2 * hidden}, dtype, "grad_out")),
        previous(full({2, batch, frames, hidden}, dtype, kNaN)) {}

  // Calls f for what each frame past its sequence's length holds.
  template <class F>
  void for_padding(const F& f) const {
    for (std::int64_t n = 0; n < batch; ++n) {
      const auto length = static_cast<std::int64_t>(get(lengths, n));
      for (std::int64_t t = length; t < out.size(1); ++t) {
        f(grad_out.select(0, n).select(0, t));
        for (const std::int64_t d : {0, 1}) f(gates.select(0, d).select(0, n).select(0, t));
      }
    }
  }

  void forward() const {
    LstmForwardArgs args{.gates = gates,
                         .weight = weight,
                         .reverse = reverse,
                         .lengths = lengths,
                         .cells = cells,
                         .out = out};
    run(&Table::lstm_forward, kCpu, args);
  }
  void backward() const {
    LstmBackwardArgs args{.gates = gates,
                          .weight = weight,
                          .reverse = reverse,
                          .lengths = lengths,
                          .cells = cells,
                          .out = out,
                          .grad_out = grad_out,
                          .previous = previous};
    run(&Table::lstm_backward, kCpu, args);
  }

  std::int64_t batch;
  Tensor gates, weight, reverse, lengths, cells, out, grad_out, previous;
};

// Sequence n by itself, cut to its length.
Problem alone(const Problem& p, std::int64_t n) {
  const double length = get(p.lengths, n);
  const auto frames = static_cast<std::int64_t>(length);
  Problem one(frames, p.weight.size(1), {length}, p.out.dtype());
  one.gates = test::copy_of(p.gates.slice(1, n, 1).slice(2, 0, frames));
  one.grad_out = test::copy_of(p.grad_out.slice(0, n, 1).slice(1, 0, frames));
  return one;
}

TEST_CASE("lstm: a sequence has the same bits alone, without padding, as beside others") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const DType dtype : {DType::f32, DType::f64}) {
      for (const std::int64_t hidden : {1, 35}) {
        CAPTURE(message(name_of(dtype), " ", hidden));
        const Problem together(7, hidden, {3, 7, 1, 7, 2, 6, 5, 7, 4, 1, 7}, dtype);
        std::vector<Problem> each;
        for (std::int64_t n = 0; n < together.batch; ++n) each.push_back(alone(together, n));
        together.forward();
        together.backward();
        for (std::int64_t n = 0; n < together.batch; ++n) {
          const Problem& one = each[static_cast<std::size_t>(n)];
          one.forward();
          one.backward();
          const auto of_batch = [&](const Tensor& x, int dim) {
            return x.slice(dim, n, 1).slice(dim + 1, 0, one.out.size(1));
          };
          CHECK(test::max_abs_difference(of_batch(together.out, 0), one.out) == 0);
          CHECK(test::max_abs_difference(of_batch(together.cells, 1), one.cells) == 0);
          CHECK(test::max_abs_difference(of_batch(together.gates, 1), one.gates) == 0);
          CHECK(test::max_abs_difference(of_batch(together.previous, 1), one.previous) == 0);
        }
      }
    }
  });
}

TEST_CASE("lstm: what padding holds is not read, and what it gets is zero") {
  const std::vector<double> lengths = {0, 4, 9, 1, 9, 2, 0, 3, 8};
  const Problem clean(9, 33, lengths, DType::f32), dirty(9, 33, lengths, DType::f32);
  dirty.for_padding([](const Tensor& frame) { test::fill(frame, kNaN); });
  for (const Problem* p : {&clean, &dirty}) p->forward();
  CHECK(test::max_abs_difference(clean.out, dirty.out) == 0);
  for (const Problem* p : {&clean, &dirty}) p->backward();
  CHECK(test::max_abs_difference(clean.gates, dirty.gates) == 0);
  CHECK(test::max_abs_difference(clean.previous, dirty.previous) == 0);
  for (std::int64_t n = 0; n < clean.batch; ++n) {
    for (auto t = static_cast<std::int64_t>(get(clean.lengths, n)); t < 9; ++t) {
      CHECK(test::max_abs(clean.out.select(0, n).select(0, t)) == 0);
      for (const std::int64_t d : {0, 1}) {
        CHECK(test::max_abs(clean.gates.select(0, d).select(0, n).select(0, t)) == 0);
        CHECK(test::max_abs(clean.previous.select(0, d).select(0, n).select(0, t)) == 0);
      }
    }
  }
}

TEST_CASE("lstm: gates that are shut or open are so exactly, and their gradients are zero") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const DType dtype : {DType::f32, DType::f64}) {
      const Problem p(1, 63, {1}, dtype);
      const double sums[] = {1e4, -1e4, 1e4, -1e4};  // in, forget, candidate and out
      for (std::int64_t i = 0; i < p.gates.elements(); ++i) {
        test::set(p.gates, i, sums[i / 63 % 4]);
      }
      p.forward();
      const double expected[] = {1, 0, 1, 0};
      for (std::int64_t i = 0; i < p.gates.elements(); ++i) {
        CHECK(get(p.gates, i) == expected[i / 63 % 4]);
      }
      CHECK(test::max_abs(p.out) == 0);
      p.backward();
      CHECK(test::max_abs(p.gates) == 0);
    }
  });
}

TEST_CASE("lstm: a NaN in any gate reaches the output") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const std::int64_t gate : {0, 1, 2, 3}) {
      for (const std::int64_t unit : {0, 39}) {  // in a whole vector, and in what is left
        const Problem p(2, 40, {2}, DType::f32);
        test::set(p.gates, {0, 0, 1, gate * 40 + unit}, kNaN);
        p.forward();
        CHECK(std::isnan(get(p.out, {0, 1, unit})));
      }
    }
  });
}

TEST_CASE("lstm: refuses lengths that are not within the frames") {
  for (const double length : {-1.0, 8.0}) {
    const Problem p(7, 3, {2, length}, DType::f32);
    CHECK_THROWS_WITH_AS(p.forward(), doctest::Contains("lstm: sequence 1 has "), ShapeError);
  }
}

}  // namespace
}  // namespace tarn::kernels
