#include "data/speech/folder.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/check.h"
#include "data/speech/lines.h"

namespace tarn::data {
namespace {

using Line = LineFile::Line;

// The lines of a file by their key. A key that occurs twice is an error.
std::unordered_map<std::string_view, const Line*> by_key(const LineFile& file) {
  std::unordered_map<std::string_view, const Line*> lines;
  for (const Line& line : file.lines()) {
    const auto [known, is_new] = lines.emplace(line.key, &line);
    TARN_CHECK_AS(IoError, is_new, file.where(line), line.key, " is a second time in the file; ",
                  "the first is line ", known->second->number);
  }
  return lines;
}

// Two files must name the same utterances: calls use(line of the other) for each, in the order of
// the list of utterances.
template <class Use>
void join(const LineFile& list, const LineFile& other, std::string_view what, Use use) {
  const auto ids = by_key(list), lines = by_key(other);
  for (const Line& line : other.lines()) {
    TARN_CHECK_AS(IoError, ids.contains(line.key), other.where(line), line.key,
                  " has no audio: it is not in ", list.name());
  }
  for (const Line& line : list.lines()) {
    TARN_CHECK_AS(IoError, lines.contains(line.key), list.where(line), line.key, " has no ", what,
                  ": it is not in ", other.name());
    use(*lines.at(line.key));
  }
}

std::filesystem::path audio_of(const LineFile& file, const Line& line,
                               const std::filesystem::path& root) {
  TARN_CHECK_AS(IoError, !line.rest.empty(), file.where(line), line.key, " has no audio file");
  TARN_CHECK_AS(IoError, !line.rest.starts_with('|') && !line.rest.ends_with('|'), file.where(line),
                line.key,
                " is a command, and tarn runs none; write what the command prints to a file once, "
                "and name that file here");
  std::filesystem::path audio = root / std::filesystem::path(line.rest);
  std::error_code ignored;
  TARN_CHECK_AS(IoError, std::filesystem::is_regular_file(audio, ignored), file.where(line),
                line.key, " has no audio: ", audio.string(),
                std::filesystem::exists(audio, ignored) ? " is not a file" : " does not exist",
                line.rest.starts_with('/')
                    ? ""
                    : message("; paths here start at ", root.string(), " (speech.audio_root)"));
  return audio;
}

void read_speakers(const LineFile& list, SpeechFolder& out) {
  const LineFile file(out.folder / "utt2spk");
  std::vector<std::string> names;
  join(list, file, "speaker", [&](const Line& line) {
    TARN_CHECK_AS(IoError, !line.rest.empty(), file.where(line), line.key, " has no speaker");
    names.emplace_back(line.rest);
  });
  const std::set<std::string> sorted(names.begin(), names.end());
  out.speakers.assign(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto at = std::lower_bound(out.speakers.begin(), out.speakers.end(), names[i]);
    out.utterances[i].speaker = at - out.speakers.begin();
  }
}

std::vector<std::int32_t> phones_of(const LineFile& file, const Line& line,
                                    const PhoneList& phones) {
  std::vector<std::int32_t> out;
  std::string_view left = line.rest;
  for (std::string_view symbol = take_word(left); !symbol.empty(); symbol = take_word(left)) {
    const auto phone = phones.find(symbol);
    TARN_CHECK_AS(IoError, phone.has_value(), file.where(line), line.key, " holds ", symbol,
                  ", which is not a phone of ", phones.file(),
                  symbol == phones.name(0) ? " but its blank" : "");
    out.push_back(*phone);
  }
  return out;
}

// Words that the lexicon lacks, with the first line of each and how often it occurs.
class Missing {
 public:
  void add(std::string_view word, std::int64_t line) {
    Place& place = words_.try_emplace(std::string(word), Place{line, 0}).first->second;
    ++place.count;
  }

  void check(const LineFile& file, const Lexicon& lexicon) const {
    if (words_.empty()) return;
    constexpr std::size_t kMost = 50;
    std::string list;
    std::size_t shown = 0;
    for (const auto& [word, place] : words_) {
      if (++shown > kMost) break;
      list += message("\n  ", word, ", ", place.count, place.count == 1 ? " time" : " times",
                      ", first in line ", place.line);
    }
    if (words_.size() > kMost) list += message("\n  and ", words_.size() - kMost, " more");
    fail<IoError>(file.name(), ": ", words_.size(), words_.size() == 1 ? " word is" : " words are",
                  " not in ", lexicon.file(), "; add them there:", list);
  }

 private:
  struct Place {
    std::int64_t line = 0, count = 0;
  };
  std::map<std::string, Place> words_;
};

void read_transcripts(const LineFile& list, const SpeechFolderOptions& options, SpeechFolder& out) {
  TARN_CHECK(options.phones != nullptr, "transcripts need a list of phones");
  const LineFile file(out.folder / options.text);
  Missing missing;
  std::size_t next = 0;
  join(list, file, "transcript", [&](const Line& line) {
    std::vector<std::int32_t>& phones = out.utterances[next++].phones;
    if (options.lexicon == nullptr) {
      phones = phones_of(file, line, *options.phones);
      return;
    }
    std::string_view left = line.rest;
    for (std::string_view word = take_word(left); !word.empty(); word = take_word(left)) {
      if (!options.lexicon->pronounce(word, *options.phones, phones)) {
        missing.add(word, line.number);
      }
    }
  });
  if (options.lexicon != nullptr) missing.check(file, *options.lexicon);
}

// The utterances of `segments`, whose recordings wav.scp names.
void read_segments(const LineFile& segments, const LineFile& audio,
                   const std::filesystem::path& root, SpeechFolder& out) {
  const auto recordings = by_key(audio);
  std::map<std::string_view, std::filesystem::path> files;  // each looked up once
  for (const Line& line : segments.lines()) {
    const Segment segment = parse_segment(segments, line);
    const auto recording = recordings.find(segment.recording);
    TARN_CHECK_AS(IoError, recording != recordings.end(), segments.where(line), line.key,
                  " is of the recording ", segment.recording, ", which is not in ", audio.name());
    auto [file, is_new] = files.try_emplace(segment.recording);
    if (is_new) file->second = audio_of(audio, *recording->second, root);
    out.utterances.push_back(
        {std::string(line.key), file->second, segment.interval, line.number, 0, {}});
  }
}

}  // namespace

std::string SpeechFolder::where(const Utterance& utterance) const {
  return message((folder / list).string(), ":", utterance.line, ": ", utterance.id);
}

SpeechFolder read_speech_folder(const SpeechFolderOptions& options) {
  const LineFile audio(options.folder / "wav.scp");
  TARN_CHECK_AS(IoError, !audio.lines().empty(), audio.name(), " names no audio");
  by_key(audio);  // an id that occurs twice is reported first
  SpeechFolder out;
  out.folder = options.folder;
  const std::filesystem::path& root = options.root.empty() ? options.folder : options.root;
  std::optional<LineFile> segments;
  if (std::filesystem::exists(options.folder / "segments")) {
    out.list = "segments";
    segments.emplace(options.folder / out.list);
    TARN_CHECK_AS(IoError, !segments->lines().empty(), segments->name(), " names no utterance");
    by_key(*segments);
    read_segments(*segments, audio, root, out);
  } else {
    for (const Line& line : audio.lines()) {
      out.utterances.push_back(
          {std::string(line.key), audio_of(audio, line, root), {}, line.number, 0, {}});
    }
  }
  const LineFile& list = segments ? *segments : audio;
  read_speakers(list, out);
  if (!options.text.empty()) read_transcripts(list, options, out);
  return out;
}

}  // namespace tarn::data
