#include "train/tasks/speech_data.h"

#include <algorithm>

#include "core/io/file.h"
#include "core/names.h"

namespace tarn::train {
namespace {

data::SpeechFolder read_folder(const Config& config, const std::string& name,
                               const data::PhoneList& phones) {
  const SpeechConfig& speech = config.speech;
  std::optional<data::Lexicon> lexicon;
  if (!speech.lexicon.empty()) lexicon.emplace(speech_path(config, speech.lexicon));
  return data::read_speech_folder({.folder = speech_path(config, name),
                                   .root = speech_path(config, speech.audio_root),
                                   .text = speech.text,
                                   .phones = &phones,
                                   .lexicon = lexicon ? &*lexicon : nullptr});
}

// CTC needs a frame for each phone, and one for the blank between two equal ones.
std::int64_t positions_needed(const std::vector<std::int32_t>& phones) {
  auto needed = static_cast<std::int64_t>(phones.size());
  for (std::size_t i = 1; i < phones.size(); ++i) needed += phones[i] == phones[i - 1] ? 1 : 0;
  return needed;
}

}  // namespace

std::filesystem::path speech_path(const Config& config, const std::string& path) {
  TARN_CHECK_AS(ConfigError, !config.task.data.empty() || std::filesystem::path(path).is_absolute(),
                "task.data is empty; it names the folder with the speech, see "
                "experiments/speech/README.md: --set task.data=FOLDER");
  return std::filesystem::path(config.task.data) / path;
}

data::PhoneList read_phones(const Config& config, const DataFacts& checkpoint) {
  const std::string& file = config.speech.phones;
  if (!file.empty()) return data::PhoneList(speech_path(config, file));
  const auto kept = checkpoint.find("phones");
  TARN_CHECK_AS(ConfigError, kept != checkpoint.end(),
                "speech.phones is empty, and there is no checkpoint that holds the list of phones; "
                "name the file: --set speech.phones=FILE");
  return data::PhoneList(words_of(kept->second), "the checkpoint");
}

data::FeatureOptions feature_options(const SpeechConfig& speech) {
  data::FeatureOptions options;
  options.fbank.bins = speech.bins;
  options.channel = speech.channel;
  options.sample_rate = speech.sample_rate;
  options.normalisation = speech.normalisation == "speaker"     ? data::Normalisation::speaker
                          : speech.normalisation == "utterance" ? data::Normalisation::utterance
                                                                : data::Normalisation::none;
  return options;
}

std::int64_t positions_of(const SpeechConfig& speech, std::int64_t frames) {
  return (frames + speech.stack - 1) / speech.stack;
}

void check_fits(const Config& config, std::int64_t frames, const std::string& name) {
  const std::int64_t positions = positions_of(config.speech, frames);
  TARN_CHECK_AS(ConfigError,
                config.model.kind != "transformer" || positions <= config.speech.max_frames, name,
                " takes ", positions, " positions; speech.max_frames is ", config.speech.max_frames,
                ": raise it, or cut the audio");
}

SpeechSplit::SpeechSplit(const Config& config, const std::string& name,
                         const data::PhoneList& phones)
    : folder_(read_folder(config, name, phones)),
      features_(data::load_features(folder_, feature_options(config.speech), config.speech.cache)),
      notes_(features_.warnings) {
  check_lengths(config);
  batches_.emplace(
      folder_, features_,
      data::SpeechBatchOptions{.frames = config.speech.batch_frames, .seed = config.run.seed});
}

std::string SpeechSplit::checksum() const {
  std::string sums;
  for (std::size_t i = 0; i < features_.frames.size(); ++i) {
    const Tensor& frames = features_.frames[i];
    sums += message(crc32_of({reinterpret_cast<const char*>(frames.raw()),
                              static_cast<std::size_t>(frames.bytes())}),
                    ":");
    for (const std::int32_t phone : folder_.utterances[i].phones) sums += message(phone, " ");
  }
  return message(features_.frames.size(), ", CRC-32 ", crc32_of(sums));
}

double SpeechSplit::count_feasible(const std::vector<std::int64_t>& utterances) const {
  return static_cast<double>(
      std::count_if(utterances.begin(), utterances.end(),
                    [&](std::int64_t i) { return feasible_[static_cast<std::size_t>(i)]; }));
}

// An utterance with fewer positions than its phones need has no path, and teaches nothing.
void SpeechSplit::check_lengths(const Config& config) {
  constexpr std::size_t kShown = 3;
  std::vector<std::string> infeasible;
  for (std::size_t i = 0; i < folder_.utterances.size(); ++i) {
    const data::Utterance& utterance = folder_.utterances[i];
    const std::int64_t frames = features_.frames[i].size(0);
    check_fits(config, frames, folder_.where(utterance));
    const std::int64_t positions = positions_of(config.speech, frames);
    const std::int64_t needed = positions_needed(utterance.phones);
    feasible_.push_back(needed <= positions);
    if (needed <= positions) continue;
    const std::string what =
        message(folder_.where(utterance), ": its ", utterance.phones.size(), " phones need ",
                needed, " positions with their repeats, and its audio has ", positions);
    TARN_CHECK_AS(IoError, config.speech.infeasible == "skip", what,
                  "; check the transcript, lower speech.stack, or set speech.infeasible=skip");
    infeasible.push_back(what);
  }
  if (infeasible.empty()) return;
  const std::size_t count = infeasible.size();
  infeasible.resize(std::min(count, kShown));
  const std::string list =
      message("\n  ", joined(infeasible, "\n  "),
              count > kShown ? message("\n  and ", count - kShown, " more") : "");
  TARN_CHECK_AS(IoError, count < folder_.utterances.size(), folder_.folder.string(),
                ": nothing can be learnt, since no utterance has as many positions as its phones "
                "need; lower speech.stack, or check the transcripts:",
                list);
  notes_.push_back(message(folder_.folder.string(), ": ", count, " of ", folder_.utterances.size(),
                           " utterances are left out of the loss:", list));
}

}  // namespace tarn::train
