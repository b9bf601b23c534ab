// A folder of speech as Kaldi lays it out: wav.scp, text and utt2spk, each line of which begins
// with an utterance's id. With a file `segments`, wav.scp names recordings instead, and the
// utterances are stretches of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/speech/lexicon.h"
#include "data/speech/phones.h"
#include "data/speech/segments.h"

namespace tarn::data {

struct Utterance {
  std::string id;
  std::filesystem::path audio;
  Interval interval;                 // of the audio that it is; all of it without `segments`
  std::int64_t line = 0;             // of wav.scp, or of segments
  std::int64_t speaker = 0;          // position in SpeechFolder::speakers
  std::vector<std::int32_t> phones;  // empty if nothing is said, or no text was read
};

struct SpeechFolder {
  std::filesystem::path folder;
  std::string list = "wav.scp";       // the file that lists the utterances, or "segments"
  std::vector<Utterance> utterances;  // in its order
  std::vector<std::string> speakers;  // sorted

  std::string where(const Utterance& utterance) const;  // "train/wav.scp:17: an4-b", for messages
};

struct SpeechFolderOptions {
  std::filesystem::path folder;
  std::filesystem::path root;         // relative paths in wav.scp start here; empty: in the folder
  std::string text = "text";          // the file of the transcripts; empty: none is read
  const PhoneList* phones = nullptr;  // needed for transcripts
  const Lexicon* lexicon = nullptr;   // given: transcripts are words
};

// Reads and checks the folder. Throws IoError that names the file and the line: audio that is not
// there, an id twice, an id that wav.scp, text and utt2spk do not all have, a pipe, a phone that is
// not in the list, all the words that the lexicon lacks, a recording that segments names and
// wav.scp does not.
SpeechFolder read_speech_folder(const SpeechFolderOptions& options);

}  // namespace tarn::data
