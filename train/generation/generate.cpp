#include "train/generation/generate.h"

#include <algorithm>

#include "autograd/views.h"
#include "core/transfer.h"
#include "kernels/optimizer.h"
#include "kernels/table.h"

namespace tarn::train {
namespace {

// The parallel pass over values [count, N], one sequence at a time: the number of rows affects the
// rounding of a product, and a sequence must not depend on those beside it. Returns the outputs of
// all sequences, [N, outputs].
template <class Pass>
Tensor by_sequence(const Tensor& values, const Pass& pass) {
  std::vector<Tensor> rows;
  for (std::int64_t r = 0; r < values.size(1); ++r) {
    const Tensor tokens = ad::contiguous(values.select(1, r));
    rows.push_back(pass(r, tokens.view({1, tokens.size(0)})));
  }
  Tensor all = Tensor::empty({values.size(1), rows.front().size(1)}, rows.front().dtype(),
                             rows.front().device());
  for (std::int64_t r = 0; r < values.size(1); ++r) {
    copy_into(rows[static_cast<std::size_t>(r)], all.slice(0, r, 1));
  }
  return all;
}

// Copies the only sequence of a state into sequence `row` of another.
void copy_sequence(const nn::EncoderState& from, nn::EncoderState& to, std::int64_t row) {
  for (std::size_t i = 0; i < to.layers.size(); ++i) {
    to.layers[i].position = from.layers[i].position;
    for (std::size_t t = 0; t < to.layers[i].tensors.size(); ++t) {
      copy_into(from.layers[i].tensor(t), to.layers[i].tensor(t).slice(0, row, 1));
    }
  }
}

constexpr std::int64_t kCheckEvery = 16;  // positions

// nonfinite: [length], how many outputs of each position were not finite.
void check_finite(const Tensor& nonfinite) {
  HostCopy copy(nonfinite);
  const std::span<const double> counts = copy.wait<double>();
  const auto bad = std::find_if(counts.begin(), counts.end(), [](double n) { return n > 0; });
  TARN_CHECK(bad == counts.end(), "the model's outputs for value ", bad - counts.begin(),
             " are not finite");
}

// The outputs for the value after the last one, [N, outputs]. values: [count, N], all so far, one
// more than in the last call.
class Distributions {
 public:
  Distributions(const nn::SequencePredictor& model, const nn::StepWeights& weights,
                GenerateMode mode, std::int64_t batch)
      : model_(model), weights_(weights), mode_(mode) {
    if (mode != GenerateMode::full) state_ = model.start(batch, weights);
  }

  Tensor after(const Tensor& values) {
    const std::int64_t last = values.size(0) - 1;
    if (mode_ == GenerateMode::full) {
      return by_sequence(values, [&](std::int64_t, const Tensor& tokens) {
        const Tensor outputs = model_.forward(tokens, {.causal = true, .lengths = {}}, {});
        return ad::contiguous(outputs.select(1, last));
      });
    }
    if (state_.position() == last) return model_.step(values.select(0, last), state_);
    return by_sequence(values, [&](std::int64_t row, const Tensor& tokens) {
      nn::EncoderState own = model_.start(1, weights_);
      Tensor outputs = model_.prefill(tokens, own);
      copy_sequence(own, state_, row);
      return outputs;
    });
  }

 private:
  const nn::SequencePredictor& model_;
  const nn::StepWeights& weights_;
  GenerateMode mode_;
  nn::EncoderState state_;
};

}  // namespace

std::string_view name_of(GenerateMode mode) {
  switch (mode) {
    case GenerateMode::recurrent:
      return "recurrent";
    case GenerateMode::cached:
      return "cached";
    case GenerateMode::full:
      return "full";
  }
  return "?";
}

std::vector<GenerateMode> generate_modes(std::string_view attention) {
  if (attention == "causal-linear") return {GenerateMode::recurrent, GenerateMode::full};
  if (attention == "full") return {GenerateMode::cached, GenerateMode::full};
  return {GenerateMode::full};
}

GenerateMode find_generate_mode(std::string_view name, std::string_view attention) {
  const std::vector<GenerateMode> modes = generate_modes(attention);
  if (name.empty()) return modes.front();
  std::string known;
  for (const GenerateMode mode : modes) {
    if (name_of(mode) == name) return mode;
    known += message(known.empty() ? "" : " and ", name_of(mode));
  }
  fail<ConfigError>("--mode ", name, ": attention \"", attention, "\" generates in mode ", known);
}

Generator::Generator(const nn::SequencePredictor& model, const GenerateOptions& options)
    : model_(model), options_(options) {
  if (options.mode != GenerateMode::full) weights_ = model.step_weights(options.storage);
}

Tensor Generator::complete(const Tensor& given, std::int64_t length, std::uint32_t first,
                           const GenerateWatch& watch) const {
  const std::int64_t batch = given.size(0), kept = given.size(1);
  TARN_CHECK_SHAPE(kept >= 1 && kept <= length, "generate: ", kept, " values of ", length,
                   " are given; at least the first must be");
  // A row a position, so that what a step reads and writes is contiguous. All stays on the model's
  // device, and it is asked now and then only whether the outputs were finite, since the program
  // would wait for the answer.
  const Device device = model_.device();
  const Tensor values = Tensor::empty({length, batch}, DType::i32, device);
  copy_into(copy_to(given.transpose(0, 1), Device::cpu()), values.slice(0, 0, kept));
  const Tensor nonfinite = Tensor::zeros({length}, DType::f64, device);
  Distributions distributions(model_, weights_, options_.mode, batch);
  for (std::int64_t position = kept; position < length; ++position) {
    if (!watch(position)) return {};
    const Tensor outputs = distributions.after(values.slice(0, 0, position));
    kernels::run(&kernels::Table::count_nonfinite, device,
                 {.x = {outputs}, .totals = nonfinite.slice(0, position, 1)});
    copy_into(draw(outputs, position, first), values.select(0, position));
    if ((position + 1) % kCheckEvery == 0 || position + 1 == length) check_finite(nonfinite);
  }
  return copy_to(copy_to(values, Device::cpu()).transpose(0, 1), Device::cpu());
}

Tensor Generator::draw(const Tensor& outputs, std::int64_t position, std::uint32_t first) const {
  const ad::SampleOptions options{
      options_.temperature,
      {options_.seed, site_of("generate"), static_cast<std::uint32_t>(position)},
      first};
  return options_.categorical ? ad::sample_categorical(outputs, options)
                              : ad::sample_logistic_mixture(outputs, options_.scale, options);
}

}  // namespace tarn::train
