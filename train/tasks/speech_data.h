// The folders of a speech config: read, checked against its model, and cut into batches.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "data/speech/batches.h"
#include "data/speech/features.h"
#include "data/speech/folder.h"
#include "train/config/config.h"
#include "train/tasks/data_facts.h"

namespace tarn::train {

// Where a path of [speech] leads that is relative to task.data. ConfigError if task.data is empty
// and is needed.
std::filesystem::path speech_path(const Config& config, const std::string& path);

// The list that speech.phones names; if that is empty, the one that a checkpoint's facts hold.
// Throws UserError.
data::PhoneList read_phones(const Config& config, const DataFacts& checkpoint);
data::FeatureOptions feature_options(const SpeechConfig& speech);

// Positions of the model that so many frames take.
std::int64_t positions_of(const SpeechConfig& speech, std::int64_t frames);

// Throws ConfigError when the model of the config has fewer positions; `name` is the utterance's.
void check_fits(const Config& config, std::int64_t frames, const std::string& name);

// One folder. Built in place, since its batches refer to it.
class SpeechSplit {
 public:
  // Reads folder `name` of the config with its transcripts and features. An utterance that has too
  // few frames for its phones is an error or a note, as speech.infeasible says. Throws UserError.
  SpeechSplit(const Config& config, const std::string& name, const data::PhoneList& phones);
  SpeechSplit(const SpeechSplit&) = delete;
  SpeechSplit& operator=(const SpeechSplit&) = delete;

  const data::SpeechFolder& folder() const { return folder_; }
  const data::SpeechBatches& batches() const { return *batches_; }
  // How many of these utterances have a path, and so a loss.
  double count_feasible(const std::vector<std::int64_t>& utterances) const;
  std::string checksum() const;                                       // of features and phones
  std::int64_t sample_rate() const { return features_.sample_rate; }  // of all the audio, in Hz
  // What a person should know: spoilt cache entries, utterances that count for nothing.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  void check_lengths(const Config& config);

  data::SpeechFolder folder_;
  data::SpeechFeatures features_;
  std::optional<data::SpeechBatches> batches_;
  std::vector<std::string> notes_;
  std::vector<bool> feasible_;  // an utterance each
};

}  // namespace tarn::train
