// Whatever the texts, reading them as a folder of speech with a list of phones and a lexicon gives
// phones that are in the list, or an error of ours. Zero bytes end the files of the input in turn.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "core/check.h"
#include "data/speech/folder.h"

namespace {

constexpr std::array kFiles = {"wav.scp",    "text",        "utt2spk",
                               "phones.txt", "lexicon.txt", "segments"};

// A folder in memory, where there is one, for as long as the process lives.
class Folder {
 public:
  Folder() : path_(std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp") {
    path_ /= "tarn-fuzz-speech-" + std::to_string(getpid());
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

const std::filesystem::path& folder() {
  static const Folder made;
  return made.path();
}

void write(const std::filesystem::path& file, std::string_view bytes) {
  const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) std::abort();
  if (::write(descriptor, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    std::abort();
  }
  close(descriptor);
}

void read(bool words) {
  const tarn::data::PhoneList phones(folder() / "phones.txt");
  const tarn::data::Lexicon lexicon(folder() / "lexicon.txt");
  const auto read = tarn::data::read_speech_folder(
      {.folder = folder(), .phones = &phones, .lexicon = words ? &lexicon : nullptr});
  if (read.utterances.empty()) std::abort();
  for (const auto& utterance : read.utterances) {
    if (utterance.speaker < 0 ||
        utterance.speaker >= static_cast<std::int64_t>(read.speakers.size())) {
      std::abort();
    }
    for (const std::int32_t phone : utterance.phones) {
      if (phone <= 0 || phone >= phones.size()) std::abort();
    }
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the fuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view left(reinterpret_cast<const char*>(data), size);
  for (const char* file : kFiles) {
    const std::size_t end = std::min(left.find('\0'), left.size());
    // A folder has segments only if it has the file.
    if (end == 0 && std::string_view(file) == "segments") {
      std::filesystem::remove(folder() / file);
    } else {
      write(folder() / file, left.substr(0, end));
    }
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  for (const bool words : {false, true}) {
    try {
      read(words);
    } catch (const tarn::IoError&) {  // anything else ends the run
    }
  }
  return 0;
}
