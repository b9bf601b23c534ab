// A few utterances of tones in three folders, and a config that learns from them in milliseconds.
#pragma once

#include <sstream>
#include <string>

#include "core/check.h"
#include "tests/support/audio_files.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {

class TinySpeech {
 public:
  TinySpeech() {
    write_speech_folder(data(), kUtterances);
    split("train", 0, 9);
    split("valid", 9, 12);
    split("test", 12, kUtterances);
    write_text(runs_.config(),
               message("[task]\nkind = \"speech\"\ndata = \"", data().string(),
                       "\"\n\n[speech]\ncache = \"", cache().string(), "\"\n", kRest));
  }

  const TinyRuns& runs() const { return runs_; }
  std::filesystem::path data() const { return runs_ / "data"; }
  std::filesystem::path cache() const { return runs_ / "cache"; }
  std::filesystem::path operator/(const std::string& name) const { return runs_ / name; }

 private:
  static constexpr int kUtterances = 15;
  static constexpr const char* kRest = R"(sample_rate = 8000
bins = 20
max_frames = 100
batch_frames = 300
time_masks = 1
time_width = 10
bin_masks = 1
bin_width = 5

[model]
attention = "linear"
layers = 1
heads = 2
head_dim = 8
hidden = 9

[optimizer]
lr = 0.01

[schedule]
kind = "plateau"
patience = 0

[train]
steps = 40
eval_every = 5
checkpoint_every = 7
keep_last = 2
log_every = 3
)";

  // A folder of its own for these lines of the whole one.
  void split(const std::string& name, int first, int end) const {
    std::filesystem::create_directory(data() / name);
    for (const char* file : {"wav.scp", "text", "utt2spk"}) {
      std::istringstream lines(read_file(data() / file));
      std::string line, kept;
      for (int i = 0; std::getline(lines, line); ++i) {
        if (i >= first && i < end) kept += line + "\n";
      }
      write_text(data() / name / file, kept);
    }
  }

  TinyRuns runs_;
};

}  // namespace tarn::test
