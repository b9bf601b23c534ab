// What each sub-command does, after its arguments were parsed (command_line.cpp). Each returns an
// exit code.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/distributed/communicator.h"
#include "train/reproduce/reproduce.h"
#include "train/tasks/task.h"
#include "train/weights/trace.h"

namespace tarn::train {

struct TrainCommand {
  std::filesystem::path config;
  std::vector<std::string> set;
  std::filesystem::path out;          // empty: runs/<run.name>
  std::optional<std::string> resume;  // "latest", or a checkpoint
  std::string weights;                // to start from, as load_weights() takes them; empty: fresh
  bool dry_run = false;
};
int train_command(const TrainCommand& command);

struct EvalCommand {
  std::filesystem::path target;
  std::vector<std::string> set;
  SplitOptions options;
  bool json = false;
};
int eval_command(const EvalCommand& command);

// The device of a config's run, ready to compute: its name is said, and the threads and the time
// that processes wait for each other are as the config has them. UserError.
Device ready_device(const Config& config, Communicator& ranks);

struct TranscribeCommand {
  std::filesystem::path target;
  std::vector<std::filesystem::path> audio;  // files, folders of them, Kaldi-style folders
  std::vector<std::string> set;
  std::int64_t beam = 0;  // 0: as the config has it
  bool json = false;
  std::filesystem::path features;  // a file to write them to; empty: none
};
int transcribe_command(const TranscribeCommand& command);

struct TraceCommand {
  std::filesystem::path config;
  std::vector<std::string> set;
  TraceRequest request;
};
int trace_command(const TraceCommand& command);

// How folders of speech are read; as the keys of the section speech.
struct SpeechDataOptions {
  std::string root;  // empty: the folder that the command names
  std::string phones, lexicon;
  std::string text = "text";
  std::int64_t channel = 0;
};

struct DataCommand {
  std::filesystem::path folder;
  SpeechDataOptions speech;
  std::int64_t draw_images = 0;  // training images to draw into a new folder first; 0: none
  std::string shape = "28x28";   // of those: HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS
  std::uint64_t seed = 1;
};
int data_command(const DataCommand& command);
bool describe_speech(const DataCommand& command);  // false if there is no speech

struct GenerateCommand {
  std::filesystem::path target;
  std::vector<std::string> set;
  std::int64_t count = 0, batch = 16;
  std::filesystem::path given;   // empty: nothing but the first value
  std::int64_t keep = 0;         // pixels of each given image; 0: the upper half
  std::int64_t completions = 1;  // of each given image
  double temperature = 1;
  std::uint64_t seed = 1;
  std::string mode;  // empty: the fastest that the model's attention has
  std::string sampler = "exact";
  std::filesystem::path out, json;
};
int generate_command(const GenerateCommand& command);

struct InfoCommand {
  // A run, a checkpoint or a folder of runs; empty: this program and machine.
  std::filesystem::path target;
  bool json = false;
};
int info_command(const InfoCommand& command);

struct ReproduceCommand {
  reproduce::Options options;
  bool strict = false;  // exit code 1 if a claim does not hold, or should have been tested
};
int reproduce_command(const ReproduceCommand& command);

struct RunsCommand {
  std::vector<std::filesystem::path> folders;  // one of runs, or runs to compare; empty: runs/
  bool json = false;
};
int runs_command(const RunsCommand& command);
int print_runs(const std::filesystem::path& folder, bool json);  // the list

struct ExportCommand {
  std::filesystem::path run;
  std::filesystem::path csv, tensorboard;  // a file, and a folder; either may be empty
};
int export_command(const ExportCommand& command);

struct ConfigCommand {
  std::string key;  // or a section; empty: all
  bool markdown = false;
};
int config_command(const ConfigCommand& command);

struct CompletionCommand {
  std::string shell;
};
int completion_command(const CompletionCommand& command);
int man_command();

// Parses the command line and runs the sub-command. Errors become a line on standard error and exit
// code 2 (the user's to mend) or 1; output that could not be written is such an error.
int run_program(int argc, char** argv);

}  // namespace tarn::train
