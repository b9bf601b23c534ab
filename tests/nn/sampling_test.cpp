// Sequences drawn value by value are their seed's and their number's: whatever else is in the
// batch, and wherever the state has been meanwhile.
#include <doctest/doctest.h>

#include "autograd/sample.h"
#include "tests/nn/tokens.h"

namespace tarn::nn {
namespace {

constexpr std::int64_t kLength = 60, kMixtures = 10;

SequencePredictorOptions image_options(const std::string& attention) {
  SequencePredictorOptions options = test::small_options(attention, kLength);
  options.vocabulary = 256;
  options.outputs = 3 * kMixtures;
  return options;
}

// A number of sequences on their way, from sequence `first` on.
struct Generation {
  Generation(const SequencePredictor& predictor, std::int64_t batch, std::uint32_t first_sequence)
      : model(predictor),
        first(first_sequence),
        state(model.start(batch)),
        last(Tensor::zeros({batch}, DType::i32, Device::cpu())) {}

  void run_to(std::int64_t length) {
    while (state.position() < length) {
      const auto position = static_cast<std::uint32_t>(state.position());
      const Tensor outputs = model.step(last, state);
      last = ad::sample_logistic_mixture(outputs, ad::LogisticScale::exact,
                                         {1, {7, site_of("sampling_test"), position}, first});
      for (std::int64_t r = 0; r < last.elements(); ++r) {
        values.push_back(last.data<std::int32_t>()[r]);
      }
    }
  }

  // Values of one sequence, of all that were made.
  std::vector<std::int32_t> sequence(std::int64_t row) const {
    std::vector<std::int32_t> out;
    const auto batch = static_cast<std::size_t>(last.elements());
    for (auto at = static_cast<std::size_t>(row); at < values.size(); at += batch) {
      out.push_back(values[at]);
    }
    return out;
  }

  const SequencePredictor& model;
  std::uint32_t first;
  EncoderState state;
  Tensor last;
  std::vector<std::int32_t> values;
};

TEST_CASE("sampling: a sequence is the same alone and in a batch of 64") {
  for (const char* kind : {"causal-linear", "full"}) {
    CAPTURE(kind);
    const SequencePredictor model(test::build_of(), image_options(kind));
    Generation all(model, 64, 100);
    all.run_to(kLength);
    for (const std::int64_t row : {0, 1, 17, 63}) {
      CAPTURE(row);
      Generation alone(model, 1, static_cast<std::uint32_t>(100 + row));
      alone.run_to(kLength);
      CHECK(alone.values == all.sequence(row));
    }
    CHECK(all.sequence(0) != all.sequence(1));
  }
}

TEST_CASE("sampling: a state saved and restored half way goes on to the same sequences") {
  for (const char* kind : {"causal-linear", "full"}) {
    CAPTURE(kind);
    const SequencePredictor model(test::build_of(), image_options(kind));
    Generation whole(model, 5, 3);
    whole.run_to(kLength);

    Generation before(model, 5, 3);
    before.run_to(kLength / 2);
    const EncoderState saved = before.state.copy();
    before.run_to(kLength);  // what becomes of the original does not matter
    const SequencePredictor other(test::build_of(), image_options(kind));
    Generation after(other, 5, 3);
    after.state.restore(saved.named());
    after.values.assign(whole.values.begin(), whole.values.begin() + 5 * kLength / 2);
    after.last = test::lengths_of({after.values.end() - 5, after.values.end()});
    after.run_to(kLength);
    CHECK(after.values == whole.values);
    CHECK(before.values == whole.values);
  }
}

}  // namespace
}  // namespace tarn::nn
