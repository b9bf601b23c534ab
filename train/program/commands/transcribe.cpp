#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "core/io/standard_streams.h"
#include "core/names.h"
#include "data/speech/audio.h"
#include "train/distributed/launch.h"
#include "train/program/commands.h"
#include "train/run/alike.h"
#include "train/run/run_folder.h"
#include "train/run/shared_checkpoint.h"
#include "train/run/shared_work.h"
#include "train/run/signals.h"
#include "train/run/status_line.h"
#include "train/tasks/model.h"
#include "train/tasks/speech_data.h"
#include "train/tasks/speech_recogniser.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

// Audio to hear, with its normalised features.
struct Sound {
  std::string name;  // the file, or the utterance's id
  Tensor frames;     // f32 [frames, bins]
};

bool is_audio(const fs::path& file) {
  std::string extension = file.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto known = {".wav", ".flac", ".sph", ".wv1", ".wv2"};
  return std::find(known.begin(), known.end(), extension) != known.end();
}

// The audio files below a folder, in the order of their paths.
std::vector<fs::path> audio_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && is_audio(entry.path())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  TARN_CHECK_AS(IoError, !files.empty(), folder.string(),
                " holds no audio (.wav, .flac, .sph) and no wav.scp");
  return files;
}

class Listener {
 public:
  explicit Listener(const Config& config) : config_(config) {}

  std::vector<Sound> sounds(const fs::path& source) {
    TARN_CHECK_AS(IoError, fs::exists(source), "there is no audio file or folder ",
                  source.string());
    if (!fs::is_directory(source)) return {of_file(source)};
    if (fs::exists(source / "wav.scp")) return of_kaldi_folder(source);
    std::vector<Sound> sounds;
    for (const fs::path& file : audio_files(source)) sounds.push_back(of_file(file));
    return sounds;
  }

 private:
  // Nothing is known of who speaks: the file is normalised by itself.
  Sound of_file(const fs::path& file) const {
    const data::FeatureOptions options = feature_options(config_.speech);
    const data::Audio audio = data::read_audio(file, options.channel);
    TARN_CHECK_AS(IoError, options.sample_rate == 0 || audio.sample_rate == options.sample_rate,
                  file.string(), " has ", audio.sample_rate, " Hz; the model was trained on ",
                  options.sample_rate, " Hz (speech.sample_rate): resample it first");
    const data::Fbank fbank(options.fbank, audio.sample_rate);
    const Tensor frames = fbank.compute(audio.samples);
    if (options.normalisation != data::Normalisation::none) data::normalise({&frames, 1});
    return {file.string(), frames};
  }

  std::vector<Sound> of_kaldi_folder(const fs::path& folder) const {
    const fs::path root =
        config_.task.data.empty() ? fs::path() : speech_path(config_, config_.speech.audio_root);
    const data::SpeechFolder read =
        data::read_speech_folder({.folder = folder, .root = root, .text = ""});
    const data::SpeechFeatures features =
        data::load_features(read, feature_options(config_.speech), config_.speech.cache);
    std::vector<Sound> sounds;
    for (std::size_t i = 0; i < read.utterances.size(); ++i) {
      sounds.push_back({read.utterances[i].id, features.frames[i]});
    }
    return sounds;
  }

  const Config& config_;
};

// A batch of one.
data::SpeechBatch batch_of(const Sound& sound) {
  const Tensor& frames = sound.frames;
  data::SpeechBatch batch;
  batch.features = frames.view({1, frames.size(0), frames.size(1)});
  batch.lengths = Tensor::empty({1}, DType::i32, Device::cpu());
  batch.lengths.mutable_data<std::int32_t>()[0] = static_cast<std::int32_t>(frames.size(0));
  return batch;
}

std::string text_of(const Sound& sound, const data::Hypothesis& hypothesis,
                    const SpeechRecogniser& recogniser) {
  constexpr std::size_t kNameWidth = 4;
  std::string text = sound.name + " ";
  for (const data::AlignedPhone& phone : hypothesis.phones) {
    text += " " + recogniser.phones().name(phone.phone);
  }
  text += number_text("  (log-probability %.3f)\n", hypothesis.log_probability);
  const double seconds = recogniser.seconds_per_position();
  for (const data::AlignedPhone& phone : hypothesis.phones) {
    std::string name = recogniser.phones().name(phone.phone);
    name.resize(std::max(name.size(), kNameWidth), ' ');
    text += number_text("  %8.3f", static_cast<double>(phone.first) * seconds) +
            number_text(" %8.3f  ", static_cast<double>(phone.end) * seconds) + name +
            number_text(" %.3f\n", phone.probability);
  }
  return text;
}

std::string json_of(const Sound& sound, const data::Hypothesis& hypothesis,
                    const SpeechRecogniser& recogniser) {
  const double seconds = recogniser.seconds_per_position();
  nlohmann::ordered_json line{{"audio", sound.name},
                              {"log_probability", hypothesis.log_probability}};
  line["phones"] = nlohmann::ordered_json::array();
  for (const data::AlignedPhone& phone : hypothesis.phones) {
    line["phones"].push_back({{"phone", recogniser.phones().name(phone.phone)},
                              {"start", static_cast<double>(phone.first) * seconds},
                              {"end", static_cast<double>(phone.end) * seconds},
                              {"probability", phone.probability}});
  }
  return line.dump() + "\n";
}

// Nothing of the data but what the checkpoint keeps is needed: no transcripts are read, so that
// only a list of phones that --set names is looked at.
Config config_of(const SharedCheckpoint& checkpoint, const TranscribeCommand& command) {
  const std::string& name = checkpoint.name();
  Config config = checkpoint.config(command.set);
  TARN_CHECK_AS(ConfigError, config.task.kind == "speech", name, ": task.kind is \"",
                config.task.kind, "\"; tarn transcribe needs a model of speech");
  check_f32_weights(config.model, "tarn transcribe");
  if (command.beam > 0) config.speech.beam = command.beam;
  const Config trained = checkpoint.config();
  const DataFacts& facts = checkpoint.data();
  take_data_facts(config, trained, facts, name);
  if (facts.contains("phones") && config.speech.phones == trained.speech.phones) {
    config.speech.phones.clear();
  }
  return config;
}

// What all processes must have heard alike.
std::string checksum_of(const std::vector<Sound>& sounds) {
  std::string sums;
  for (const Sound& sound : sounds) {
    const Tensor& frames = sound.frames;
    sums += message(crc32_of({reinterpret_cast<const char*>(frames.raw()),
                              static_cast<std::size_t>(frames.bytes())}),
                    " ");
  }
  return message(sounds.size(), ", CRC-32 ", crc32_of(sums));
}

int transcribe(const TranscribeCommand& command, Communicator& ranks) try {
  const SharedCheckpoint checkpoint(command.target, ranks);
  Config config;
  std::optional<SpeechRecogniser> recogniser;
  ranks.together([&] {
    config = config_of(checkpoint, command);
    if (ranks.first() && !command.features.empty()) check_result_file(command.features);
    const Device device = ready_device(config, ranks);
    recogniser.emplace(config, device, read_phones(config, checkpoint.data()));
    check_same_data(checkpoint.data(), {{"phones", joined(recogniser->phones().names(), " ")}},
                    checkpoint.name());
  });
  checkpoint.load_model(recogniser->model());
  const auto transcript_of = [&](const Sound& sound) {
    check_fits(config, sound.frames.size(0), sound.name);
    const data::SpeechBatch batch = recogniser->prepare(batch_of(sound), {});
    const data::Hypothesis hypothesis =
        recogniser->decode(recogniser->logits(batch, {}), batch, config.speech.beam).front();
    return (command.json ? json_of : text_of)(sound, hypothesis, *recogniser);
  };
  Listener listener(config);
  NamedTensors features;
  for (const fs::path& audio : command.audio) {
    stop_if_signalled(ranks);
    std::vector<Sound> sounds;
    ranks.together([&] { sounds = listener.sounds(audio); });
    check_alike(ranks, config, [&] { return DataFacts{{audio.string(), checksum_of(sounds)}}; });
    // Only now: reading can be left at any point, but not a line that is half printed.
    const SignalWatch watch;
    share_work(
        static_cast<std::int64_t>(sounds.size()), ranks,
        [&](std::int64_t i) { return transcript_of(sounds[static_cast<std::size_t>(i)]); },
        [&](std::int64_t i, const std::string& text) {
          std::fputs(text.c_str(), stdout);
          flush_standard_output();
          if (command.features.empty()) return;
          const Sound& sound = sounds[static_cast<std::size_t>(i)];
          features.emplace_back(sound.name, sound.frames);
        });
  }
  ranks.together([&] {
    if (ranks.first() && !command.features.empty()) write_safetensors(command.features, features);
  });
  return 0;
} catch (const Interrupted&) {
  const std::string features = command.features.string();
  std::fprintf(stderr, "stopped by %s; what is printed is whole%s\n",
               signal_name(signal_received()).c_str(),
               features.empty() ? "" : message(", and ", features, " is not written").c_str());
  return signal_exit_code(signal_received());
}

}  // namespace

int transcribe_command(const TranscribeCommand& command) {
  return run_as_rank([&](Communicator& ranks) { return transcribe(command, ranks); });
}

}  // namespace tarn::train
