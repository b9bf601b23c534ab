// Generation on every device: what graphs of several positions draw is what one position after
// another draws, and what they ask of a CUDA device.
#include <doctest/doctest.h>

#include "autograd/sample.h"
#include "core/allocator.h"
#include "tests/nn/tokens.h"
#include "tests/support/devices.h"
#include "train/generation/generate.h"

namespace tarn::train {
namespace {

// Blocks of 16: a plain one, two graphs and a rest.
constexpr std::int64_t kBlocksLength = 54;

nn::SequencePredictorOptions blocks_options(const std::string& attention) {
  nn::SequencePredictorOptions options = test::small_options(attention, kBlocksLength - 1);
  options.encoder.feed_forward = 32;
  options.vocabulary = 256;
  options.outputs = 9;
  return options;
}

nn::Build on(Device device) {
  nn::Build build = test::build_of();
  build.device = device;
  return build;
}

bool never_stop(std::int64_t /*values*/) { return true; }

// [N, kBlocksLength], each value by a step of its own that is told its position.
std::vector<std::int32_t> by_single_steps(const nn::SequencePredictor& model, const Tensor& given,
                                          const GenerateOptions& options, std::uint32_t first) {
  const std::int64_t batch = given.size(0);
  std::vector<std::int32_t> values(static_cast<std::size_t>(batch * kBlocksLength));
  nn::EncoderState state = model.start(batch, model.step_weights(DType::f32));
  Tensor tokens = copy_to(copy_to(given.select(1, 0), Device::cpu()), model.device());
  for (std::int64_t position = 0; position < kBlocksLength; ++position) {
    const Tensor host = copy_to(tokens, Device::cpu());
    for (std::int64_t n = 0; n < batch; ++n) {
      values[static_cast<std::size_t>(n * kBlocksLength + position)] = host.data<std::int32_t>()[n];
    }
    if (position + 1 == kBlocksLength) break;
    const Tensor outputs = model.step(tokens, state);
    tokens = ad::sample_logistic_mixture(
        outputs, options.scale,
        {options.temperature,
         {options.seed, site_of("generate"), static_cast<std::uint32_t>(position + 1)},
         first});
  }
  return values;
}

TEST_CASE("device: several positions at once draw what one after another does, as on the CPU") {
  for (const std::string attention : {"causal-linear", "full"}) {
    CAPTURE(attention);
    const GenerateOptions options{.mode = find_generate_mode("", attention), .seed = 5};
    const Tensor given = test::random_tokens({3, 1}, 256, "given");
    std::vector<std::int32_t> expected;
    test::for_each_device([&](Device device) {
      const nn::SequencePredictor model(on(device), blocks_options(attention));
      const Tensor all = Generator(model, options).complete(given, kBlocksLength, 7, never_stop);
      const std::vector<std::int32_t> got(all.data<std::int32_t>(),
                                          all.data<std::int32_t>() + all.elements());
      CHECK(got == by_single_steps(model, given, options, 7));
      if (device == Device::cpu()) expected = got;
      CHECK(got == expected);
    });
  }
}

TEST_CASE("device: the watch ends a generation between two graphs, and nothing is kept of it") {
  for (const Device device : test::devices()) {
    CAPTURE(device.str());
    const nn::SequencePredictor model(on(device), blocks_options("causal-linear"));
    const Generator generator(model, {});
    const std::int64_t live = allocator(device).stats().live;
    std::int64_t asked = 0;
    const auto watch = [&](std::int64_t values) {
      ++asked;
      return values < 40;
    };
    CHECK_FALSE(
        generator.complete(test::random_tokens({2, 1}, 256, "given"), kBlocksLength, 0, watch)
            .defined());
    CHECK(asked == 40);
    CHECK(allocator(device).stats().live == live);
  }
}

TEST_CASE("device: outputs that are not finite are told with their value, of graphs too") {
  for (const Device device : test::devices()) {
    CAPTURE(device.str());
    nn::SequencePredictor model(on(device), blocks_options("causal-linear"));
    // The embedding of value 255 is infinite, so that the first 255 ends it.
    const Tensor& weight = model.parameters().front()->value();
    copy_into(copy_to(test::full({1, weight.size(1)}, DType::f32, HUGE_VAL), device),
              weight.slice(0, 255, 1));
    CHECK_THROWS_WITH_AS(
        Generator(model, {.temperature = 3})
            .complete(test::random_tokens({8, 1}, 255, "given"), kBlocksLength, 0, never_stop),
        doctest::Contains("are not finite"), Error);
  }
}

#if defined(TARN_EMULATED) && !defined(TARN_CHECKED)  // which reads memory back to check it
TEST_CASE("device: launches, graphs and waits of a generated image") {
  const Device device = Device::cuda(0);
  for (const std::string attention : {"causal-linear", "full"}) {
    CAPTURE(attention);
    constexpr std::int64_t kLong = 1 + 96;  // a plain block, and five graphs
    nn::SequencePredictorOptions options = blocks_options(attention);
    options.max_length = kLong - 1;
    const nn::SequencePredictor model(on(device), options);
    const Generator generator(model, {.mode = find_generate_mode("", attention)});
    const Tensor given = test::random_tokens({1, 1}, 256, "given");
    generator.complete(given, kLong, 0, never_stop);
    emulator::counters() = {};
    generator.complete(given, kLong, 0, never_stop);
    const emulator::Counters& counts = emulator::counters();
    CHECK(counts.graph_launches == 5);
    CHECK(counts.launches % 96 == 0);  // each position the same
    const std::uint64_t of_position = counts.launches / 96;
    CHECK(counts.submissions == 16 * of_position + 5);
    CHECK(counts.allocations == 0);
    // Whether the outputs of a block were finite; and the image, which waits twice.
    CHECK(counts.waits == 6 + 2);
    MESSAGE(attention, ", 96 positions of ", of_position, " launches: ", counts.submissions,
            " launches and graphs were asked for, ", counts.waits, " waits, ", counts.copies,
            " copies of ", counts.bytes_copied, " bytes");
  }
}
#endif

}  // namespace
}  // namespace tarn::train
