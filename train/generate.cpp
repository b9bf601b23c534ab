#include "train/generate.h"

#include "autograd/tape.h"
#include "core/transfer.h"

namespace tarn::train {
namespace {

// The outputs behind the last of some values, [N, outputs]: each mode is one of these.
class Distributions {
 public:
  Distributions(const nn::SequencePredictor& model, const Tensor& given, GenerateMode mode)
      : model_(model), full_(mode == GenerateMode::full) {
    if (!full_) state_ = model.start(given.size(0));
  }

  // values: [count, N], those so far: one more than in the last call.
  Tensor after(const Tensor& values) {
    const std::int64_t last = values.size(0) - 1;
    const auto prefix = [&] { return copy_to(values.transpose(0, 1), values.device()); };
    if (full_) {
      const Tensor outputs = model_.forward(prefix(), {.causal = true, .lengths = {}}, {});
      return copy_to(outputs.select(1, last), outputs.device());
    }
    if (state_.position() == 0) return model_.absorb(prefix(), state_);
    return model_.step(values.select(0, last), state_);
  }

 private:
  const nn::SequencePredictor& model_;
  bool full_;
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

Tensor generate(const nn::SequencePredictor& model, const Tensor& given, std::int64_t length,
                std::uint32_t first, const GenerateOptions& options, const GenerateWatch& watch) {
  const std::int64_t batch = given.size(0), kept = given.size(1);
  TARN_CHECK_SHAPE(kept >= 1 && kept <= length, "generate: ", kept, " values of ", length,
                   " are given; at least the first must be");
  // A row a position, so that what a step reads and writes is contiguous.
  const Tensor values = Tensor::zeros({length, batch}, DType::i32, Device::cpu());
  copy_into(copy_to(given.transpose(0, 1), Device::cpu()), values.slice(0, 0, kept));
  Distributions distributions(model, given, options.mode);
  for (std::int64_t position = kept; position < length; ++position) {
    if (!watch(position)) return {};
    const Tensor outputs = distributions.after(values.slice(0, 0, position));
    TARN_CHECK(ad::is_finite(outputs), "the model's outputs at value ", position,
               " are not finite");
    const ad::SampleOptions draw{
        options.temperature,
        {options.seed, site_of("generate"), static_cast<std::uint32_t>(position)},
        first};
    copy_into(options.categorical ? ad::sample_categorical(outputs, draw)
                                  : ad::sample_logistic_mixture(outputs, options.scale, draw),
              values.select(0, position));
  }
  return copy_to(values.transpose(0, 1), Device::cpu());
}

}  // namespace tarn::train
