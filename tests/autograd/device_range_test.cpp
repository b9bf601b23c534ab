// Tokens, labels and lengths out of range on devices whose memory the program does not read: what
// they select is not read either, and the result is not finite.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "autograd/cross_entropy.h"
#include "autograd/ctc.h"
#include "autograd/embedding.h"
#include "autograd/parameter.h"
#include "core/transfer.h"
#include "tests/support/devices.h"
#include "tests/support/random_tensor.h"

namespace tarn::ad {
namespace {

using test::get;
using test::on_host;
using test::random_tensor;

// Calls f(device) for each that is not the CPU, where nothing may go wrong.
template <class F>
void for_each_other(const F& f) {
  test::for_each_device([&](Device device) {
    if (device != Device::cpu()) f(device);
  });
}

Tensor integers(const Shape& shape, const std::vector<double>& values, Device device) {
  return copy_to(test::from_vector(shape, values, DType::i32), device);
}

TEST_CASE("device range: ctc's loss is minus infinity, and the other utterance's gradient whole") {
  struct Case {
    std::vector<double> labels, frames, counts;  // of the second utterance: last
  };
  const std::vector<Case> cases = {
      {{1, 2, 4, 1}, {5, 5}, {2, 2}},   {{1, 2, 1, 0}, {5, 5}, {2, 2}},
      {{1, 2, -1, 1}, {5, 5}, {2, 2}},  {{1, 2, 1, 2}, {5, 6}, {2, 2}},
      {{1, 2, 1, 2}, {5, -1}, {2, 2}},  {{1, 2, 1, 2}, {5, 5}, {2, 3}},
      {{1, 2, 1, 2}, {5, 5}, {2, -1}},  {{1, 2, 1, 2}, {5, 5}, {2, 1 << 30}},
      {{1, 2, 1, 2}, {5, -5}, {2, -1}},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    for_each_other([&](Device device) {
      const Case& c = cases[i];
      Parameter logits("logits", copy_to(random_tensor({2, 5, 4}, DType::f32, "logits"), device));
      Tape tape;
      Ctc result;
      {
        const Recording recording = tape.record();
        result = ctc(logits.tensor(), integers({2, 2}, c.labels, device),
                     integers({2}, c.frames, device), integers({2}, c.counts, device));
      }
      tape.backward(result.loss);
      CHECK(item(result.loss) == -INFINITY);
      CHECK(get(on_host(result.totals), 0) == -INFINITY);
      CHECK(get(on_host(result.losses), 1) == -INFINITY);
      CHECK(std::isfinite(get(on_host(result.losses), 0)));
      const Tensor grad = on_host(logits.grad());
      CHECK(test::max_abs(grad.select(0, 0)) > 0);
      CHECK(std::isfinite(test::max_abs(grad.select(0, 0))));
      CHECK(test::max_abs(grad.select(0, 1)) == 0);
    });
  }
}

TEST_CASE(
    "device range: cross_entropy of a label that is no class is NaN, unless it weighs nothing") {
  for (const double target : {3.0, -1.0, 1e9}) {
    CAPTURE(target);
    for_each_other([&](Device device) {
      const Tensor logits = copy_to(random_tensor({2, 3}, DType::f32, "logits"), device);
      const Tensor targets = integers({2}, {1, target}, device);
      const auto loss = [&](double weight) {
        return item(cross_entropy(logits, targets,
                                  copy_to(test::from_vector({2}, {1, weight}, DType::f32), device))
                        .loss);
      };
      CHECK(std::isnan(loss(1)));
      CHECK(std::isfinite(loss(0)));
    });
  }
}

TEST_CASE("device range: a token that is not in the vocabulary is a row of NaN") {
  for (const double token : {3.0, -1.0, 1e9, -1e9}) {
    CAPTURE(token);
    for_each_other([&](Device device) {
      const Tensor weight = random_tensor({3, 2}, DType::f32, "weight");
      const Tensor out =
          on_host(embedding(integers({2}, {2, token}, device), copy_to(weight, device)));
      CHECK(get(out, {0, 1}) == get(weight, {2, 1}));
      CHECK(std::isnan(get(out, {1, 0})));
      CHECK(std::isnan(get(out, {1, 1})));
    });
  }
}

}  // namespace
}  // namespace tarn::ad
