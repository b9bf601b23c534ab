#include "train/generation/generate.h"

#include <algorithm>
#include <numeric>

#include "autograd/views.h"
#include "core/replay.h"
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

// 0 .. count - 1 on a device.
Tensor numbers(std::int64_t count, Device device) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 0);
  return from_values<std::int32_t>(values, {count}, device);
}

constexpr std::int64_t kBlock = 16;  // values that are drawn between two questions to the device

}  // namespace

// What complete() works with. All of it lies on the model's device and stays where it is, so that a
// device is asked for the steps of a block by one launch: they read the values before and their
// positions from `values` and `positions`, which are those of the block at hand.
struct Generator::Sequences {
  Sequences(std::int64_t length, std::int64_t batch, Device device)
      : all(Tensor::empty({length, batch}, DType::i32, device)),
        all_positions(numbers(length, device)),
        values(Tensor::empty({kBlock + 1, batch}, DType::i32, device)),
        positions(Tensor::empty({kBlock + 1}, DType::i32, device)),
        nonfinite(Tensor::zeros({kBlock}, DType::f64, device)) {}

  // Copies the last value that is there, and the positions of it and of `count` more.
  void begin(std::int64_t position, std::int64_t count) const {
    copy_into(all.slice(0, position - 1, 1), values.slice(0, 0, 1));
    copy_into(all_positions.slice(0, position - 1, count + 1), positions.slice(0, 0, count + 1));
  }
  // Copies the values that were drawn back, and waits for whether they could be.
  void end(std::int64_t position, std::int64_t count) const {
    copy_into(values.slice(0, 1, count), all.slice(0, position, count));
    HostCopy copy(nonfinite.slice(0, 0, count));
    const std::span<const double> counts = copy.wait<double>();
    const auto bad = std::find_if(counts.begin(), counts.end(), [](double n) { return n > 0; });
    TARN_CHECK(bad == counts.end(), "the model's outputs for value ",
               position + (bad - counts.begin()), " are not finite");
  }

  // A row a position, so that what a step reads and writes is contiguous.
  Tensor all, all_positions;  // [length, N] and [length]
  Tensor values, positions;  // [kBlock + 1, N] and [kBlock + 1], from the last value that was there
  Tensor nonfinite;          // [kBlock]: how many outputs were not finite
  nn::EncoderState state;
};

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
  // Behind the last, nothing would stop what a device reads its positions for.
  TARN_CHECK_SHAPE(length <= model_.max_length() + 1, "generate: ", length,
                   " values; the model was built for ", model_.max_length() + 1);
  Sequences sequences(length, batch, model_.device());
  copy_into(copy_to(given.transpose(0, 1), Device::cpu()), sequences.all.slice(0, 0, kept));
  const bool steps = options_.mode != GenerateMode::full;
  if (steps) sequences.state = model_.start(batch, weights_);
  Replay block(model_.device(), [&] { draw_by_steps(sequences, kBlock, first); });

  std::int64_t count = 0;
  for (std::int64_t position = kept; position < length; position += count) {
    const bool prefilled = steps && sequences.state.position() == position - 1;
    count = prefilled ? std::min(kBlock, length - position) : 1;
    for (std::int64_t i = 0; i < count; ++i) {
      if (!watch(position + i)) return {};
    }
    sequences.begin(position, count);
    if (!prefilled) {
      draw(sequences, 0, first, outputs_after(sequences, position));
    } else if (count == kBlock) {
      block.run();
    } else {
      draw_by_steps(sequences, count, first);
    }
    // Which the program counts only where it asks for each step.
    if (steps) sequences.state.set_position(position - 1 + count);
    sequences.end(position, count);
  }
  return copy_to(copy_to(sequences.all, Device::cpu()).transpose(0, 1), Device::cpu());
}

Tensor Generator::outputs_after(Sequences& sequences, std::int64_t count) const {
  const Tensor values = sequences.all.slice(0, 0, count);
  return by_sequence(values, [&](std::int64_t row, const Tensor& tokens) {
    if (options_.mode == GenerateMode::full) {
      const Tensor outputs = model_.forward(tokens, {.causal = true, .lengths = {}}, {});
      return ad::contiguous(outputs.select(1, count - 1));
    }
    nn::EncoderState own = model_.start(1, weights_);
    Tensor outputs = model_.prefill(tokens, own);
    copy_sequence(own, sequences.state, row);
    return outputs;
  });
}

void Generator::draw_by_steps(Sequences& sequences, std::int64_t count, std::uint32_t first) const {
  for (std::int64_t i = 0; i < count; ++i) {
    draw(sequences, i, first,
         model_.step(sequences.values.select(0, i), sequences.state,
                     sequences.positions.slice(0, i, 1)));
  }
}

void Generator::draw(const Sequences& sequences, std::int64_t index, std::uint32_t first,
                     const Tensor& outputs) const {
  kernels::run(&kernels::Table::count_nonfinite, outputs.device(),
               {.x = {outputs}, .totals = sequences.nonfinite.slice(0, index, 1)});
  const ad::SampleOptions options{options_.temperature,
                                  {options_.seed, site_of("generate"), 0},
                                  first,
                                  sequences.positions.slice(0, index + 1, 1)};
  const Tensor drawn = options_.categorical
                           ? ad::sample_categorical(outputs, options)
                           : ad::sample_logistic_mixture(outputs, options_.scale, options);
  copy_into(drawn, sequences.values.select(0, index + 1));
}

}  // namespace tarn::train
