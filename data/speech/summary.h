// What a folder of speech holds, in numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/speech/folder.h"

namespace tarn::data {

struct SpeechSummary {
  std::int64_t sample_rate = 0;
  std::vector<std::int64_t> samples;  // of each utterance, the shortest first
  std::int64_t total_samples = 0;
  std::vector<std::int64_t> phones;  // how often each phone of the list comes
  std::int64_t total_phones = 0;
  std::int64_t fewest_phones = 0, most_phones = 0;  // of an utterance
  double most_phones_a_second = 0;                  // of an utterance
  std::uint32_t audio_crc32 = 0;                    // over ids and the CRC-32 of each audio file
};

// Decodes every audio file. Throws IoError, with the line of wav.scp, for audio that cannot be
// decoded or whose sample rate is not that of the first. phones is the size of the list.
SpeechSummary summarise(const SpeechFolder& folder, std::int64_t phones, std::int64_t channel);

// The folders of speech that this is or that lie in it, sorted; empty if there are none.
std::vector<std::filesystem::path> find_speech_folders(const std::filesystem::path& folder);

}  // namespace tarn::data
