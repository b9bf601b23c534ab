// The sub-commands of `tarn bench`.
#include <memory>

#include "bench/bench.h"
#include "kernels/backend.h"
#include "train/program/options.h"

namespace tarn::train {
namespace {

constexpr std::int64_t kLargestSize = 1 << 24;

struct Common {
  std::int64_t threads = 0;
  std::string instruction_set;
  std::filesystem::path json;
};

// A benchmark with its options and those that all have.
template <class Options>
Subcommand benchmark(const std::string& name, std::string purpose,
                     void (*run)(const Options&, bench::Report&),
                     void (*fill)(Subcommand&, Options&)) {
  const auto common = std::make_shared<Common>();
  const auto options = std::make_shared<Options>();
  Subcommand row{"bench " + name, std::move(purpose), {}, {}, [common, options, run] {
                   kernels::set_cpu_threads(common->threads);
                   kernels::set_cpu_instruction_set(common->instruction_set);
                   bench::Report report(common->json);
                   run(*options, report);
                   report.close();
                   return 0;
                 }};
  fill(row, *options);
  row.options.push_back(number("--threads", common->threads, 1, 1024,
                               "of the pool; if not given, as `tarn info` says"));
  row.options.push_back(path("--json", "FILE", common->json, "also write the rows to this file"));
  row.options.push_back(text("--instruction-set", "NAME", common->instruction_set,
                             "AVX-512, AVX2 or portable, for tarn's own kernels; the best if not "
                             "given"));
  return row;
}

Option device(std::string& target) {
  return text("--device", "DEVICE", target, "cpu, cuda or cuda:N");
}

void fill_gemm(Subcommand& row, bench::GemmOptions& options) {
  row.options = {numbers("--rows", options.rows, 1, kLargestSize, "tokens a batch"),
                 choice("--type", options.type, {"f32", "bf16", "bf16-emulated"},
                        "what the products take, as model.compute"),
                 device(options.device)};
}

void fill_attention(Subcommand& row, bench::AttentionOptions& options) {
  row.options = {texts("--kinds", options.kinds, {}, "of attention; lsh-N is lsh with N rounds"),
                 numbers("--lengths", options.lengths, 1, kLargestSize, "positions of a sequence"),
                 number("--head-dim", options.head_dim, 1, 4096, "width of a head"),
                 number("--heads", options.heads, 1, 4096, "heads"),
                 number("--positions", options.positions, 1, kLargestCount, "batch x length"),
                 number("--softmax-limit", options.softmax_limit, 1, kLargestSize,
                        "the longest length to time softmax at"),
                 device(options.device)};
}

void fill_lstm(Subcommand& row, bench::LstmOptions& options) {
  row.options = {numbers("--frames", options.frames, 1, kLargestSize, "of an utterance"),
                 number("--batch", options.batch, 1, kLargestSize, "utterances"),
                 number("--input", options.input, 1, 4096, "features a frame"),
                 number("--hidden", options.hidden, 1, 4096, "width of a direction"),
                 number("--layers", options.layers, 1, 64, "layers")};
}

void fill_speech(Subcommand& row, bench::SpeechOptions& options) {
  row.options = {
      texts("--kinds", options.kinds, {}, "linear, full, lsh-N, bilstm"),
      numbers("--frames", options.frames, 1, kLargestSize, "of an utterance"),
      number("--batch", options.batch, 1, kLargestCount, "frames a batch; one utterance at least"),
      number("--rounds", options.rounds, 1, 1'000'000, "in which each kind is timed once")};
}

void fill_generation(Subcommand& row, bench::GenerationOptions& options) {
  Option config = operand("CONFIG", options.config,
                          "a config whose sizes to use; the paper's if not "
                          "given");
  config.required = false;
  row.operands = {std::move(config)};
  row.options = {
      overrides(options.set),
      choice("--model", options.model, {"mnist", "cifar"}, "the paper's model"),
      texts("--modes", options.modes, {"recurrent", "cached", "full", "lsh-1", "lsh-4"},
            "how the model is run; lsh-N is full, by LSH with N rounds"),
      texts("--weights", options.weights, {"f32", "bf16"}, "how the weights are stored"),
      numbers("--batches", options.batches, 1, kLargestSize, "images generated together"),
      number("--group", options.group, 1, kLargestSize, "images that step together"),
      number("--full-positions", options.full_positions, 1, kLargestCount,
             "mode full: the most images x length to time, scaled to the rest"),
      numbers("--positions", options.positions, 0, kLargestSize,
              "also time single steps at these positions"),
      device(options.device)};
}

void fill_step(Subcommand& row, bench::StepOptions& options) {
  row.operands = {operand("CONFIG", options.config, "the TOML file")};
  row.options = {overrides(options.set), text("--compute", "TYPE", options.compute,
                                              "instead of the config's model.compute")};
}

void fill_gradients(Subcommand& row, bench::GradientsOptions& options) {
  row.operands = {operand("CONFIG", options.config, "the TOML file")};
  row.options = {overrides(options.set),
                 texts("--compute", options.computes, {"f32", "bf16", "bf16-emulated"},
                       "what the products take, as model.compute"),
                 number("--steps", options.steps, 0, kLargestCount,
                        "updates in f32 before, at the rate optimizer.lr")};
}

void fill_contention(Subcommand& row, bench::ContentionOptions& options) {
  Option config = operand("CONFIG", options.step.config,
                          "of the training step; a small copy task if not given");
  config.required = false;
  row.operands = {std::move(config)};
  row.options = {
      overrides(options.step.set),
      numbers("--busy", options.busy, 0, 1024, "programs that compute beside it"),
      number("--rounds", options.rounds, 1, 1'000'000, "in which each setting is timed once")};
}

}  // namespace

std::vector<Subcommand> bench_subcommands() {
  return {
      benchmark("gemm", "the products of a layer", bench::gemm, fill_gemm),
      benchmark("attention", "cost against length (the paper's Figure 1)", bench::attention,
                fill_attention),
      benchmark("step", "a whole training step of a config", bench::step, fill_step),
      benchmark("gradients", "how far a batch's gradients are from those in f64", bench::gradients,
                fill_gradients),
      benchmark("generation", "images a second, value by value (the paper's Tables 1, 2, 4, 5)",
                bench::generation, fill_generation),
      benchmark("lstm", "the bidirectional LSTM against length", bench::lstm, fill_lstm),
      benchmark("speech", "seconds per 1,000 frames of the paper's models of speech (its Table 3)",
                bench::speech, fill_speech),
      benchmark("contention", "steps on one thread and on all, beside busy programs",
                bench::contention, fill_contention)};
}

}  // namespace tarn::train
