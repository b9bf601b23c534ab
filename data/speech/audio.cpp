#include "data/speech/audio.h"

#include <sndfile.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <span>

#include "core/check.h"
#include "core/io/file.h"

namespace tarn::data {
namespace {

// FLAC writes silence in a few bytes a second, so the size of a file limits nothing.
constexpr std::size_t kMostSamples = std::size_t{1} << 27;  // over two hours at 16 kHz

// Bytes in memory, as libsndfile reads a file.
struct Source {
  std::string_view bytes;
  sf_count_t position = 0;
};

Source& source_of(void* user) { return *static_cast<Source*>(user); }

sf_count_t length_of(void* user) { return static_cast<sf_count_t>(source_of(user).bytes.size()); }

sf_count_t seek_in(sf_count_t offset, int whence, void* user) {
  Source& source = source_of(user);
  const sf_count_t base = whence == SEEK_CUR   ? source.position
                          : whence == SEEK_END ? length_of(user)
                                               : 0;
  sf_count_t target = 0;
  if (__builtin_add_overflow(base, offset, &target)) return -1;
  if (target < 0 || target > length_of(user)) return -1;
  return source.position = target;
}

sf_count_t read_from(void* buffer, sf_count_t count, void* user) {
  Source& source = source_of(user);
  const sf_count_t got = std::clamp<sf_count_t>(count, 0, length_of(user) - source.position);
  std::memcpy(buffer, source.bytes.data() + source.position, static_cast<std::size_t>(got));
  source.position += got;
  return got;
}

sf_count_t write_nowhere(const void*, sf_count_t, void*) { return 0; }

sf_count_t position_in(void* user) { return source_of(user).position; }

// An open file of libsndfile's.
class Decoder {
 public:
  Decoder(std::string_view bytes, const std::string& name) : source_{bytes} {
    SF_VIRTUAL_IO io{length_of, seek_in, read_from, write_nowhere, position_in};
    file_ = sf_open_virtual(&io, SFM_READ, &info_, &source_);
    TARN_CHECK_AS(IoError, file_ != nullptr, name,
                  " cannot be read as audio: ", sf_strerror(nullptr));
  }
  ~Decoder() { sf_close(file_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  const SF_INFO& info() const { return info_; }
  // Reads up to `count` samples of every channel. Returns how many there were.
  std::size_t read(float* samples, std::size_t count) {
    return static_cast<std::size_t>(
        std::max<sf_count_t>(0, sf_readf_float(file_, samples, static_cast<sf_count_t>(count))));
  }
  const char* error() const { return sf_error(file_) ? sf_strerror(file_) : nullptr; }

 private:
  Source source_;
  SF_INFO info_{};
  SNDFILE* file_ = nullptr;
};

bool begins(std::string_view bytes, std::string_view with) { return bytes.starts_with(with); }

// What follows the tag with a title and the like that some programs put before the audio (ID3v2:
// its size is 28 bits in four bytes).
std::string_view without_id3(std::string_view bytes) {
  constexpr std::size_t kHeader = 10;
  if (!begins(bytes, "ID3") || bytes.size() < kHeader) return bytes;
  std::size_t size = 0;
  for (std::size_t i = 6; i < kHeader; ++i) {
    size = size << 7 | (static_cast<unsigned char>(bytes[i]) & 0x7fU);
  }
  const bool has_footer = (static_cast<unsigned char>(bytes[5]) & 0x10U) != 0;
  const std::size_t all = kHeader + size + (has_footer ? kHeader : 0);
  return all < bytes.size() ? bytes.substr(all) : bytes;
}

// How many bytes a WAV file's data chunk promises beyond the end of the file. Programs that write
// to a pipe put 0 or a very large number where they do not know the size.
std::size_t missing_wave_data(std::string_view bytes) {
  constexpr std::size_t kFirst = 12, kHeader = 8, kUnknown = 0x7fff0000;
  for (std::size_t at = kFirst; at + kHeader <= bytes.size();) {
    std::uint32_t size = 0;
    std::memcpy(&size, bytes.data() + at + 4, sizeof size);
    const std::size_t left = bytes.size() - at - kHeader;
    if (bytes.substr(at, 4) == "data") return size < kUnknown && size > left ? size - left : 0;
    if (size >= left) return 0;
    at += kHeader + size + size % 2;
  }
  return 0;
}

// Throws for what libsndfile reports without a useful reason, or does not notice.
void check_header(std::string_view bytes, const std::string& name) {
  TARN_CHECK_AS(IoError, !bytes.empty(), name, " is empty");
  const bool riff = begins(bytes, "RIFF"), sphere = begins(bytes, "NIST_1A");
  TARN_CHECK_AS(
      IoError,
      riff || sphere || begins(bytes, "fLaC") || begins(bytes, "RIFX") || begins(bytes, "RF64"),
      name, " is no audio that tarn reads: those are WAV, FLAC and NIST SPHERE");
  if (sphere) {
    TARN_CHECK_AS(IoError, bytes.substr(0, 1024).find("embedded-shorten") == bytes.npos, name,
                  " is compressed with shorten; expand it first, for example by sph2pipe -f wav");
  }
  if (riff && bytes.size() >= 8) {
    std::uint32_t size = 0;  // of what follows; programs that write to a pipe put a large one here
    std::memcpy(&size, bytes.data() + 4, sizeof size);
    TARN_CHECK_AS(IoError, size >= 0x7fff0000 || size + std::size_t{8} <= bytes.size(), name,
                  " is cut short: its header says ", size + std::size_t{8}, " bytes, and it has ",
                  bytes.size());
    const std::size_t missing = missing_wave_data(bytes);
    TARN_CHECK_AS(IoError, missing == 0, name, " is cut short: its samples end ", missing,
                  " bytes before its data chunk does");
  }
}

// How many samples the header of a SPHERE file promises; libsndfile counts only those that are
// there.
sf_count_t sphere_samples(std::string_view bytes) {
  constexpr std::string_view kField = "\nsample_count -i ";
  const std::string_view header = bytes.substr(0, 1024);
  const std::size_t at = header.find(kField);
  sf_count_t count = 0;
  if (begins(bytes, "NIST_1A") && at != header.npos) {
    std::from_chars(header.data() + at + kField.size(), header.data() + header.size(), count);
  }
  return count;
}

void check_channel(std::int64_t channels, std::int64_t channel, const std::string& name) {
  TARN_CHECK_AS(IoError, channel != 0 || channels == 1, name, " has ", channels,
                " channels; speech.channel chooses one, from 1");
  TARN_CHECK_AS(IoError, channel >= 0 && channel <= channels, name, " has no channel ", channel,
                ": it has ", channels);
}

// Only files of floating-point numbers can fail. The limit keeps powers finite, and is above the
// 32768 of those who write integers as floats.
void check_samples(std::span<const float> samples, const std::string& name) {
  constexpr float kLargest = 1e6F;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    TARN_CHECK_AS(IoError, std::abs(samples[i]) <= kLargest, name, " holds ", samples[i],
                  " at sample ", i, "; full scale is -1 to 1");
  }
}

}  // namespace

Audio decode_audio(std::string_view file, const std::string& name, std::int64_t channel) {
  const std::string_view bytes = without_id3(file);
  check_header(bytes, name);
  Decoder decoder(bytes, name);
  const std::int64_t channels = decoder.info().channels;
  check_channel(channels, channel, name);
  const auto stride = static_cast<std::size_t>(channels);
  const std::size_t index = channel == 0 ? 0 : static_cast<std::size_t>(channel - 1);

  // The header's number of samples may be anything, so memory grows with what is really there.
  constexpr std::size_t kChunk = 16384;
  std::vector<float> chunk(kChunk * stride);
  Audio audio{decoder.info().samplerate, {}};
  while (const std::size_t got = decoder.read(chunk.data(), kChunk)) {
    TARN_CHECK_AS(IoError, audio.samples.size() + got <= kMostSamples, name, " has more than ",
                  kMostSamples, " samples");
    for (std::size_t i = 0; i < got; ++i) audio.samples.push_back(chunk[i * stride + index]);
  }
  const char* error = decoder.error();
  TARN_CHECK_AS(IoError, error == nullptr, name, " is damaged or cut short behind sample ",
                audio.samples.size(), ": ", error == nullptr ? "" : error);
  const sf_count_t promised = std::max(decoder.info().frames, sphere_samples(bytes));
  TARN_CHECK_AS(IoError, static_cast<sf_count_t>(audio.samples.size()) >= promised, name,
                " is cut short: its header says ", promised, " samples, and it has ",
                audio.samples.size());
  TARN_CHECK_AS(IoError, !audio.samples.empty(), name, " holds no samples");
  check_samples(audio.samples, name);
  return audio;
}

void check_sample_rate(std::int64_t rate, std::int64_t expected, const std::string& name) {
  TARN_CHECK_AS(
      IoError, rate == expected, name, " has ", rate, " samples a second, and ", expected,
      " are expected: what speech.sample_rate says, or else the first audio; bring all audio "
      "to one rate first");
}

Audio read_audio(const std::filesystem::path& file, std::int64_t channel) {
  return decode_audio(read_file(file), file.string(), channel);
}

}  // namespace tarn::data
