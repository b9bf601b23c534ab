// The sub-commands of tarn: which options they have, and which variables those set.
#include <memory>

#include "train/program/commands.h"
#include "train/program/options.h"

namespace tarn::train {
namespace {

constexpr const char* kWeightsHelp =
    "FILE[:PREFIX], a safetensors file and what its names begin with; or a run or a checkpoint";
constexpr const char* kTargetHelp = "a run's folder (its best checkpoint) or a checkpoint's";

// A sub-command whose options fill a command's struct, which lives as long as the table.
template <class Command>
Subcommand subcommand(std::string name, std::string purpose, int (*run)(const Command&),
                      void (*fill)(Subcommand&, Command&)) {
  const auto command = std::make_shared<Command>();
  Subcommand row{
      std::move(name), std::move(purpose), {}, {}, [command, run] { return run(*command); }};
  fill(row, *command);
  return row;
}

void fill_train(Subcommand& row, TrainCommand& command) {
  Option resume{.name = "--resume",
                .value = "CHECKPOINT",
                .help =
                    "go on from the run's latest checkpoint, or from the one named after an "
                    "equals sign",
                .value_optional = true,
                .set = [&command](const std::string& given) { command.resume = given; }};
  row.operands = {operand("CONFIG", command.config, "the TOML file")};
  row.options = {
      overrides(command.set),
      path("--out", "FOLDER", command.out, "the run's folder; runs/<run.name> if not given"),
      text("--weights", "WEIGHTS", command.weights,
           std::string("start from these, not from fresh ones: ") + kWeightsHelp),
      std::move(resume),
      flag("--dry-run", command.dry_run, "check, build the model, time some steps; write nothing")};
}

void fill_eval(Subcommand& row, EvalCommand& command) {
  row.operands = {operand("RUN_OR_CHECKPOINT", command.target, kTargetHelp)};
  row.options = {
      overrides(command.set),
      choice("--split", command.options.split, {"test", "validation"}, "the data to evaluate on"),
      number("--count", command.options.count, 1, kLargestCount,
             "images, from the first; all if not given"),
      flag("--recurrent", command.options.recurrent,
           "images: value by value, by the model as an RNN, with model.weights"),
      flag("--json", command.json, "print one line of JSON")};
}

void fill_transcribe(Subcommand& row, TranscribeCommand& command) {
  row.operands = {
      operand("RUN_OR_CHECKPOINT", command.target, kTargetHelp),
      operands("AUDIO", command.audio, "audio files, folders of them, or Kaldi-style folders")};
  row.options = {
      overrides(command.set),
      number("--beam", command.beam, 1, kLargestCount,
             "prefixes that decoding keeps; speech.beam if not given"),
      flag("--json", command.json, "print one line of JSON an utterance"),
      path("--features", "FILE", command.features,
           "also write what the model is given, f32 [frames, bins] by utterance, to this "
           "safetensors file")};
}

void fill_generate(Subcommand& row, GenerateCommand& command) {
  Option count = number("--count", command.count, 1, kLargestCount, "images to generate");
  Option out = path("--out", "FOLDER", command.out, "the folder to write, new or empty");
  count.required = out.required = true;
  row.operands = {operand("RUN_OR_CHECKPOINT", command.target, kTargetHelp)};
  row.options = {
      overrides(command.set),
      std::move(count),
      std::move(out),
      number("--batch", command.batch, 1, 1'000'000,
             "images generated together; changes none of them"),
      path("--given", "FOLDER", command.given, "a folder of images to complete: its test set"),
      number("--keep", command.keep, 1, kLargestCount,
             "pixels kept of each; the upper half if not given"),
      number("--completions", command.completions, 1, 1'000'000, "of each given image"),
      number("--temperature", command.temperature, 0, "below 1: likelier values; 0: the likeliest"),
      number("--seed", command.seed, "of the values drawn"),
      choice("--mode", command.mode, {"recurrent", "cached", "full"},
             "how the model is run; the fastest if not given"),
      choice("--sampler", command.sampler, {"exact", "compat"},
             "as the loss has it, or as the authors' code has it"),
      path("--json", "FILE", command.json, "also write the figures to this file")};
}

void fill_data(Subcommand& row, DataCommand& command) {
  row.operands = {
      operand("DIR", command.folder, "a folder with MNIST's files, CIFAR-10's, or speech")};
  SpeechDataOptions& speech = command.speech;
  row.options = {
      number(
          "--draw-images", command.draw_images, 1, 10'000'000,
          "first make the folder: so many training images of simple figures, and a sixth as many "
          "test images"),
      text("--shape", "SHAPE", command.shape, "of the drawn images: HEIGHTxWIDTH[xCHANNELS]"),
      number("--seed", command.seed, "of the drawn images"),
      text("--audio-root", "DIR", speech.root,
           "speech: where paths in wav.scp start; the folder itself if not given"),
      text("--phones", "FILE", speech.phones,
           "speech: the list; phones.txt, here or above, if not given"),
      text("--text", "FILE", speech.text, "speech: the file of the transcripts"),
      text("--lexicon", "FILE", speech.lexicon, "speech: pronunciations; transcripts are words"),
      number("--channel", speech.channel, 1, 1024, "speech: of audio with several, from 1")};
}

void fill_trace(Subcommand& row, TraceCommand& command) {
  TraceRequest& request = command.request;
  Option weights = text("--weights", "WEIGHTS", request.weights, kWeightsHelp);
  Option batch = path("--batch", "FILE", request.batch, "a safetensors file of recorded batches");
  Option out = path("--out", "FILE", request.out, "the safetensors file to write");
  weights.required = batch.required = out.required = true;
  row.operands = {operand("CONFIG", command.config, "the TOML file")};
  row.options = {
      overrides(command.set),
      std::move(weights),
      std::move(batch),
      std::move(out),
      number("--steps", request.steps, 0, kLargestCount, "also make this many optimizer updates"),
      flag("--dropout", request.dropout, "with the config's dropout")};
}

void fill_info(Subcommand& row, InfoCommand& command) {
  Option target = operand("RUN_OR_CHECKPOINT", command.target,
                          "a run's folder, a checkpoint, or a folder of runs");
  target.required = false;
  row.operands = {std::move(target)};
  row.options = {flag("--json", command.json, "print JSON: one line, or one a run")};
}

void fill_runs(Subcommand& row, RunsCommand& command) {
  Option folders = operands("RUN_OR_FOLDER", command.folders,
                            "a folder of runs, runs if not given; or two runs or more, to compare");
  folders.required = false;
  row.operands = {std::move(folders)};
  row.options = {flag("--json", command.json, "print JSON: a line a run; a comparison in one")};
}

void fill_export(Subcommand& row, ExportCommand& command) {
  row.operands = {operand("RUN", command.run, "a run's folder")};
  row.options = {
      path("--csv", "FILE", command.csv, "a table: a row for each line of metrics.jsonl"),
      path("--tensorboard", "FOLDER", command.tensorboard,
           "a folder for TensorBoard, new or empty")};
}

void fill_reproduce(Subcommand& row, ReproduceCommand& command) {
  reproduce::Options& options = command.options;
  row.operands = {
      repeated("NAME", "", options.names, "experiments, figure1 to table5; all if not given")};
  row.options = {
      choice("--scale", options.scale, {"smoke", "cpu", "paper"},
             "smoke: minutes for all; cpu: an hour an experiment on two cores; paper: the "
             "paper's own setting, for a GPU"),
      path("--out", "FOLDER", options.out, "the folder; runs/reproduce_<scale> if not given"),
      text("--device", "DEVICE", options.device, "cpu, cuda or cuda:N"),
      texts("--only", options.only, {}, "the methods to run: linear, softmax, lsh1, ..."),
      number("--seeds", options.seeds, 1, 1000,
             "runs of each training, with the seeds from the config's on"),
      path("--data", "FOLDER", options.data, "where the data sets' folders are"),
      path("--experiments", "FOLDER", options.experiments,
           "the experiments' folders, beside which tools/ is"),
      flag("--strict", command.strict,
           "exit code 1 if a claim of this scale does not hold or was not tested")};
}

void fill_config(Subcommand& row, ConfigCommand& command) {
  Option key = text("KEY", "", command.key, "a key or a section; all if not given");
  row.operands = {std::move(key)};
  row.options = {flag("--markdown", command.markdown, "as docs/config.md has them")};
}

void fill_completion(Subcommand& row, CompletionCommand& command) {
  Option shell = choice("SHELL", command.shell, {"bash"}, "the shell to write it for");
  shell.value = shell.default_text = "";
  shell.required = true;
  row.operands = {std::move(shell)};
}

}  // namespace

std::vector<Subcommand> subcommands() {
  return {
      subcommand("train", "train a model from a config file", train_command, fill_train),
      subcommand("eval", "evaluate a run's best checkpoint, or another", eval_command, fill_eval),
      subcommand("generate", "images from a run's best checkpoint, or another", generate_command,
                 fill_generate),
      subcommand("transcribe", "the phones in audio, with times and scores", transcribe_command,
                 fill_transcribe),
      subcommand("reproduce", "the paper's experiments, with a verdict on each of its claims",
                 reproduce_command, fill_reproduce),
      subcommand("runs", "what runs there are and how they stand; what differs between some",
                 runs_command, fill_runs),
      subcommand("info", "this program and machine, a run, or a checkpoint", info_command,
                 fill_info),
      subcommand("export", "a run's metrics as CSV or for TensorBoard", export_command,
                 fill_export),
      subcommand("config", "the keys of a config: meaning, default, range", config_command,
                 fill_config),
      subcommand("data", "what a folder of data holds: counts and checksums", data_command,
                 fill_data),
      subcommand("trace", "logits, loss and gradients of recorded batches, for porting",
                 trace_command, fill_trace),
      subcommand("completion", "a script that completes tarn's commands in a shell",
                 completion_command, fill_completion),
      {"man", "the manual page, as troff", {}, {}, man_command}};
}

}  // namespace tarn::train
