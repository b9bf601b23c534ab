#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>

#include "core/build_info.h"
#include "core/check.h"
#include "train/program/commands.h"

namespace tarn::train {
namespace {

// What the parsed arguments ask for; empty until a sub-command is recognised.
using Action = std::function<int()>;

constexpr const char* kWeightsHelp =
    "FILE[:PREFIX], a safetensors file and what its names begin with; or a run or a checkpoint";

void add_set(CLI::App& app, std::vector<std::string>& set) {
  app.add_option("--set", set, "override a key of the config: section.key=value; repeatable")
      ->take_all()
      ->allow_extra_args(false);
}

void add_train(CLI::App& app, TrainCommand& command, Action& action) {
  CLI::App* sub = app.add_subcommand("train", "train a model from a config file");
  sub->add_option("CONFIG", command.config, "the TOML file")->required();
  add_set(*sub, command.set);
  sub->add_option("--out", command.out, "the run's folder (default: runs/<run.name>)");
  CLI::Option* weights =
      sub->add_option("--weights", command.weights,
                      std::string("start from these, not from fresh ones: ") + kWeightsHelp);
  sub->add_option_function<std::vector<std::string>>(
         "--resume",
         [&command](const std::vector<std::string>& value) {
           command.resume = value.empty() || value[0].empty() ? "auto" : value[0];
         },
         "go on from the run's latest checkpoint (auto), or from the one named")
      ->expected(0, 1)
      ->excludes(weights)
      ->type_name("[auto|CHECKPOINT]");
  sub->add_flag("--dry-run", command.dry_run, "check, build the model, time a step; write nothing");
  sub->callback([&] { action = [&command] { return train_command(command); }; });
}

void add_eval(CLI::App& app, EvalCommand& command, Action& action) {
  CLI::App* sub = app.add_subcommand("eval", "evaluate a run's best checkpoint, or a checkpoint");
  sub->add_option("RUN_OR_CHECKPOINT", command.target, "a folder")->required();
  add_set(*sub, command.set);
  sub->add_option("--split", command.options.split, "test (default) or validation")
      ->check(CLI::IsMember({"test", "validation"}));
  sub->add_option("--count", command.options.count, "images, from the first (default: all)")
      ->check(CLI::Range(1, 1000000000));
  sub->add_flag("--recurrent", command.options.recurrent,
                "images: value by value, by the model as an RNN, with model.weights");
  sub->add_flag("--json", command.json, "one line of JSON");
  sub->callback([&] { action = [&command] { return eval_command(command); }; });
}

void add_transcribe(CLI::App& app, TranscribeCommand& command, Action& action) {
  CLI::App* sub = app.add_subcommand("transcribe", "the phones in audio, with times and scores");
  sub->add_option("RUN_OR_CHECKPOINT", command.target, "a folder")->required();
  sub->add_option("AUDIO", command.audio, "audio files, folders of them, or Kaldi-style folders")
      ->required();
  add_set(*sub, command.set);
  sub->add_option("--beam", command.beam, "prefixes that decoding keeps; default: speech.beam")
      ->check(CLI::PositiveNumber);
  sub->add_flag("--json", command.json, "one line of JSON an utterance");
  sub->add_option("--features", command.features,
                  "also write what the model is given, f32 [frames, bins] by utterance, to this "
                  "safetensors file");
  sub->callback([&] { action = [&command] { return transcribe_command(command); }; });
}

void add_trace(CLI::App& app, TraceCommand& command, Action& action) {
  CLI::App* sub =
      app.add_subcommand("trace", "logits, loss and gradients of recorded batches, for porting");
  sub->add_option("CONFIG", command.config, "the TOML file")->required();
  add_set(*sub, command.set);
  sub->add_option("--weights", command.request.weights, kWeightsHelp)->required();
  sub->add_option("--batch", command.request.batch, "a safetensors file of recorded batches")
      ->required();
  sub->add_option("--out", command.request.out, "the safetensors file to write")->required();
  sub->add_option("--steps", command.request.steps, "also make this many optimizer updates")
      ->check(CLI::NonNegativeNumber);
  sub->add_flag("--dropout", command.request.dropout, "with the config's dropout; default: none");
  sub->callback([&] { action = [&command] { return trace_command(command); }; });
}

void add_data(CLI::App& app, DataCommand& command, Action& action) {
  CLI::App* sub = app.add_subcommand("data", "what a folder of data holds: counts and checksums");
  sub->add_option("DIR", command.folder, "a folder with MNIST's files, CIFAR-10's, or speech")
      ->required();
  sub->add_option("--draw-images", command.draw_images,
                  "first make the folder: so many training images of simple figures, and a sixth "
                  "as many test images")
      ->check(CLI::Range(1, 10'000'000));
  sub->add_option("--shape", command.shape, "of the drawn images: HEIGHTxWIDTH[xCHANNELS]")
      ->capture_default_str();
  sub->add_option("--seed", command.seed, "of the drawn images")->capture_default_str();
  SpeechDataOptions& speech = command.speech;
  sub->add_option("--audio-root", speech.root,
                  "speech: where paths in wav.scp start; default: DIR");
  sub->add_option("--phones", speech.phones,
                  "speech: the list; default: phones.txt, here or above");
  sub->add_option("--text", speech.text, "speech: the file of the transcripts")
      ->capture_default_str();
  sub->add_option("--lexicon", speech.lexicon, "speech: pronunciations; transcripts are words");
  sub->add_option("--channel", speech.channel, "speech: of audio with several, from 1");
  sub->callback([&] { action = [&command] { return data_command(command); }; });
}

void add_generate(CLI::App& app, GenerateCommand& command, Action& action) {
  CLI::App* sub = app.add_subcommand("generate", "images from a run's best checkpoint, or another");
  sub->add_option("RUN_OR_CHECKPOINT", command.target, "a folder")->required();
  add_set(*sub, command.set);
  sub->add_option("--count", command.count, "images to generate")
      ->required()
      ->check(CLI::Range(1, 1000000000));
  sub->add_option("--batch", command.batch, "images generated together; changes none of them")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  sub->add_option("--given", command.given, "a folder of images to complete: its test set");
  sub->add_option("--keep", command.keep, "pixels kept of each (default: the upper half)");
  sub->add_option("--completions", command.completions, "of each given image")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  sub->add_option("--temperature", command.temperature, "below 1: likelier values; 0: likeliest")
      ->capture_default_str();
  sub->add_option("--seed", command.seed, "of the values drawn")->capture_default_str();
  sub->add_option("--mode", command.mode, "recurrent, cached or full (default: the fastest)")
      ->check(CLI::IsMember({"recurrent", "cached", "full"}));
  sub->add_option("--sampler", command.sampler, "exact, as the loss has it, or compat")
      ->check(CLI::IsMember({"exact", "compat"}))
      ->capture_default_str();
  sub->add_option("--out", command.out, "the folder to write, new or empty")->required();
  sub->add_option("--json", command.json, "also write the figures to this file");
  sub->callback([&] { action = [&command] { return generate_command(command); }; });
}

// CLI11 by itself would only say that one is required.
void check_subcommand(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::string known;
  for (const CLI::App* sub : app.get_subcommands(std::function<bool(const CLI::App*)>())) {
    if (sub->get_name() == argv[1]) return;
    known += known.empty() ? "" : ", ";
    known += sub->get_name();
  }
  fail<ConfigError>("\"", argv[1], "\" is not a sub-command; there are ", known);
}

}  // namespace

int run_program(int argc, char** argv) {
  CLI::App app{"tarn trains linear-attention transformers", "tarn"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("tarn ") + kVersion);
  Action action;
  TrainCommand train;
  EvalCommand eval;
  TranscribeCommand transcribe;
  TraceCommand trace;
  DataCommand data;
  GenerateCommand generate;
  std::string checkpoint, key;
  bool markdown = false;
  add_train(app, train, action);
  add_eval(app, eval, action);
  add_transcribe(app, transcribe, action);
  add_trace(app, trace, action);
  add_data(app, data, action);
  add_generate(app, generate, action);
  CLI::App* info = app.add_subcommand("info", "this program and machine, or a checkpoint");
  info->add_option("CHECKPOINT", checkpoint, "a run's folder or a checkpoint");
  info->callback([&] { action = [&] { return info_command(checkpoint); }; });
  CLI::App* config = app.add_subcommand("config", "the keys of a config: meaning, default, range");
  config->add_option("KEY", key, "a key or a section; default: all");
  config->add_flag("--markdown", markdown, "as docs/config.md has them");
  config->callback([&] { action = [&] { return config_command(key, markdown); }; });

  try {
    check_subcommand(app, argc, argv);
    app.parse(argc, argv);
    return action();
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const UserError& error) {
    std::fprintf(stderr, "tarn: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tarn: %s\n", error.what());
    return 1;
  }
}

}  // namespace tarn::train
