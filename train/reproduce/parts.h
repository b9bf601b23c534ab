// The parts of a reproduction, each done once: training runs and commands. What is done is kept
// under a name that ends in a hash of all that it depends on, the program included: a later start
// finds it, and a change of any of these begins a new one beside it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/io/file_lock.h"
#include "train/run/status_line.h"

namespace tarn::train::reproduce {

using Words = std::vector<std::string>;  // a command and its arguments

struct Trained {
  std::filesystem::path folder;  // of the run
  std::string config_hash;
  double seconds = 0;   // of its steps, evaluations left out
  std::string missing;  // why there is no finished run; empty: there is
};

struct Done {
  std::filesystem::path folder;  // of the files that the commands left
  std::string value;             // JSON: what the last one printed or wrote; "null" if none
  double seconds = 0;
  std::string missing;
};

class Parts {
 public:
  // `root` is the folder that "tools/plot_spectrogram" and the configs' paths begin at, `out` that
  // of the reproduction. It is locked: IoError if another process works there.
  Parts(std::filesystem::path root, std::filesystem::path out);

  // Trains to the end, from where an earlier start was stopped. ConfigError if the config is wrong.
  Trained train(const std::string& name, const std::filesystem::path& config, const Words& set);

  // Runs the commands one after the other; "tarn" is this program. In their words {dir} is a folder
  // for what they leave, new and empty, in which each has what it printed as 1.out and so on;
  // {json} is a file there, whose content is the value. `inputs` are hashes of what the commands
  // read.
  Done run(const std::string& name, const std::vector<Words>& commands, const Words& inputs);

  bool failed() const { return failed_; }  // whether any part ended with an error

 private:
  std::string hash_of(const std::vector<Words>& parts) const;
  // A text without the name of the folder, which may be moved.
  std::string portable(const std::string& text) const;
  // Runs it, shows its last line, and gives what it printed. An error is the text of `missing`.
  // Throws Interrupted if a signal came.
  std::string run_child_of(const std::string& name, const Words& words, std::string& missing);

  std::filesystem::path root_, out_;
  std::string program_, program_hash_;
  FileLock lock_;
  StatusLine status_;
  bool failed_ = false;
};

}  // namespace tarn::train::reproduce
