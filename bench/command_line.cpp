#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "bench/bench.h"
#include "core/check.h"
#include "kernels/backend.h"

namespace tarn::bench {

int run_program(int argc, char** argv) {
  CLI::App app{"measures tarn on this machine", "tarn bench"};
  app.require_subcommand(1);
  std::int64_t threads = 0;
  std::string json, config, instruction_set;
  std::vector<std::string> set;
  GemmOptions gemm_options;
  AttentionOptions attention_options;
  LstmOptions lstm_options;
  SpeechOptions speech_options;
  GenerationOptions generation_options;
  const auto common = [&](CLI::App* sub) {
    sub->add_option("--threads", threads, "of the pool; default: OpenMP's");
    sub->add_option("--json", json, "also write the rows to this file");
    sub->add_option("--instruction-set", instruction_set,
                    "AVX-512, AVX2 or portable, for tarn's own kernels; default: the best");
    return sub;
  };
  CLI::App* gemm_command = common(app.add_subcommand("gemm", "the products of a layer"));
  gemm_command->add_option("--rows", gemm_options.rows, "tokens a batch")->delimiter(',');
  CLI::App* attention_command =
      common(app.add_subcommand("attention", "cost against length (the paper's Figure 1)"));
  attention_command->add_option("--kinds", attention_options.kinds)->delimiter(',');
  attention_command->add_option("--lengths", attention_options.lengths)->delimiter(',');
  attention_command->add_option("--head-dim", attention_options.head_dim);
  attention_command->add_option("--heads", attention_options.heads);
  attention_command->add_option("--positions", attention_options.positions, "batch x length");
  attention_command->add_option("--softmax-limit", attention_options.softmax_limit,
                                "the longest length to time softmax at");
  CLI::App* lstm_command =
      common(app.add_subcommand("lstm", "the bidirectional LSTM against length"));
  lstm_command->add_option("--frames", lstm_options.frames)->delimiter(',');
  lstm_command->add_option("--batch", lstm_options.batch);
  lstm_command->add_option("--input", lstm_options.input, "features a frame");
  lstm_command->add_option("--hidden", lstm_options.hidden);
  lstm_command->add_option("--layers", lstm_options.layers);
  CLI::App* speech_command = common(app.add_subcommand(
      "speech", "seconds per 1,000 frames of the paper's models of speech (its Table 3)"));
  speech_command->add_option("--kinds", speech_options.kinds, "linear, full, lsh-N, bilstm")
      ->delimiter(',');
  speech_command->add_option("--frames", speech_options.frames, "of an utterance")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  speech_command
      ->add_option("--batch", speech_options.batch, "frames a batch; one utterance at least")
      ->check(CLI::PositiveNumber);
  speech_command->add_option("--rounds", speech_options.rounds, "in which each kind is timed once")
      ->check(CLI::PositiveNumber);
  CLI::App* generation_command = common(app.add_subcommand(
      "generation", "images a second, one value after another (the paper's Tables 1, 2, 4, 5)"));
  generation_command->add_option("CONFIG", generation_options.config,
                                 "a config whose sizes to use; default: the paper's");
  generation_command->add_option("--set", generation_options.set, "override a key of the config")
      ->take_all()
      ->allow_extra_args(false);
  generation_command->add_option("--model", generation_options.model, "the paper's model")
      ->check(CLI::IsMember({"mnist", "cifar"}));
  generation_command->add_option("--modes", generation_options.modes)
      ->delimiter(',')
      ->check(CLI::IsMember({"recurrent", "cached", "full"}));
  generation_command->add_option("--weights", generation_options.weights)
      ->delimiter(',')
      ->check(CLI::IsMember({"f32", "bf16"}));
  generation_command->add_option("--batches", generation_options.batches)
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  generation_command->add_option("--group", generation_options.group, "images that step together")
      ->check(CLI::PositiveNumber);
  generation_command->add_option("--full-positions", generation_options.full_positions,
                                 "mode full: the most images x length to time, scaled to the rest");
  generation_command
      ->add_option("--positions", generation_options.positions,
                   "also time single steps at these positions")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
  CLI::App* step_command = common(app.add_subcommand("step", "a whole training step of a config"));
  step_command->add_option("CONFIG", config)->required();
  step_command->add_option("--set", set, "override a key: section.key=value")
      ->take_all()
      ->allow_extra_args(false);
  try {
    app.parse(argc, argv);
    kernels::set_cpu_threads(threads);
    kernels::set_cpu_instruction_set(instruction_set);
    Report report(json);
    if (*gemm_command) gemm(gemm_options, report);
    if (*attention_command) attention(attention_options, report);
    if (*lstm_command) lstm(lstm_options, report);
    if (*speech_command) speech(speech_options, report);
    if (*generation_command) generation(generation_options, report);
    if (*step_command) step(config, set, report);
    report.close();
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const UserError& error) {
    std::fprintf(stderr, "tarn bench: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tarn bench: %s\n", error.what());
    return 1;
  }
}

}  // namespace tarn::bench
