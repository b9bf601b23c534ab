#include "data/speech/summary.h"

#include <algorithm>
#include <string>
#include <system_error>

#include "core/check.h"
#include "core/io/file.h"
#include "data/speech/audio.h"

namespace tarn::data {
namespace {

void add_phones(const Utterance& utterance, double seconds, SpeechSummary& out) {
  const auto count = static_cast<std::int64_t>(utterance.phones.size());
  const bool first = out.samples.empty();
  out.fewest_phones = first ? count : std::min(out.fewest_phones, count);
  out.most_phones = std::max(out.most_phones, count);
  out.most_phones_a_second =
      std::max(out.most_phones_a_second, static_cast<double>(count) / seconds);
  out.total_phones += count;
  for (const std::int32_t phone : utterance.phones) ++out.phones[static_cast<std::size_t>(phone)];
}

}  // namespace

SpeechSummary summarise(const SpeechFolder& folder, std::int64_t phones, std::int64_t channel) {
  SpeechSummary out;
  out.phones.resize(static_cast<std::size_t>(phones));
  std::string checksums;
  for (const Utterance& utterance : folder.utterances) {
    try {
      const std::string bytes = read_file(utterance.audio);
      const Audio audio = cut(decode_audio(bytes, utterance.audio.string(), channel),
                              utterance.interval, utterance.audio.string());
      if (out.sample_rate == 0) out.sample_rate = audio.sample_rate;
      check_sample_rate(audio.sample_rate, out.sample_rate, utterance.audio.string());
      const auto samples = static_cast<std::int64_t>(audio.samples.size());
      add_phones(utterance, static_cast<double>(samples) / static_cast<double>(out.sample_rate),
                 out);
      out.samples.push_back(samples);
      out.total_samples += samples;
      checksums += message(utterance.id, " ", crc32_of(bytes), "\n");
    } catch (const IoError& error) {
      fail<IoError>(folder.where(utterance), ": ", error.what());
    }
  }
  std::sort(out.samples.begin(), out.samples.end());
  out.audio_crc32 = crc32_of(checksums);
  return out;
}

std::vector<std::filesystem::path> find_speech_folders(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (std::filesystem::exists(folder / "wav.scp", ignored)) return {folder};
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (std::filesystem::exists(entry.path() / "wav.scp", ignored)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace tarn::data
