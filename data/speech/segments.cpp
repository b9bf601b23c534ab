#include "data/speech/segments.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/check.h"

namespace tarn::data {
namespace {

constexpr double kToleratedSeconds = 0.5;
constexpr double kMostSeconds = 1e7;  // keeps every count of samples far below 64 bits

double seconds_of(const LineFile& file, const LineFile::Line& line, std::string_view word) {
  double value = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  const bool number = error == std::errc() && stop == word.data() + word.size();
  TARN_CHECK_AS(IoError, number && std::abs(value) <= kMostSeconds, file.where(line), line.key,
                ": \"", word,
                "\" is no time in seconds; a line is an utterance, its recording, "
                "and where it begins and ends there");
  return value;
}

}  // namespace

Segment parse_segment(const LineFile& file, const LineFile::Line& line) {
  std::string_view rest = line.rest;
  Segment segment{line.key, take_word(rest), {}};
  segment.interval.begin = seconds_of(file, line, take_word(rest));
  segment.interval.end = seconds_of(file, line, take_word(rest));
  TARN_CHECK_AS(IoError, rest.empty(), file.where(line), line.key, ": \"", rest,
                "\" is behind the two times of an utterance");
  const bool to_the_end = segment.interval.end == -1;
  if (to_the_end) segment.interval.end = kMostSeconds;
  TARN_CHECK_AS(IoError,
                segment.interval.begin >= 0 && segment.interval.begin < segment.interval.end,
                file.where(line), line.key, ": from ", segment.interval.begin, " to ",
                segment.interval.end, " seconds is no interval of a recording");
  return segment;
}

Audio cut(const Audio& audio, const Interval& interval, const std::string& name) {
  if (interval.whole()) return audio;
  const auto rate = static_cast<double>(audio.sample_rate);
  const auto count = static_cast<std::int64_t>(audio.samples.size());
  const double duration = static_cast<double>(count) / rate;
  TARN_CHECK_AS(
      IoError, interval.end == kMostSeconds || interval.end <= duration + kToleratedSeconds, name,
      ": an interval ends at ", interval.end, " seconds, and the recording at ", duration);
  const auto first = std::llround(interval.begin * rate);
  const std::int64_t last = std::min<std::int64_t>(std::llround(interval.end * rate), count);
  TARN_CHECK_AS(IoError, first < last, name, ": an interval from ", interval.begin, " to ",
                interval.end, " seconds holds no sample of the recording's ", duration, " seconds");
  return {audio.sample_rate, {audio.samples.begin() + first, audio.samples.begin() + last}};
}

}  // namespace tarn::data
