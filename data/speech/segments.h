// Utterances that are parts of longer recordings, as Kaldi's file `segments` lists them.
#pragma once

#include <cstdint>
#include <string>

#include "data/speech/audio.h"
#include "data/speech/lines.h"

namespace tarn::data {

// Of a recording, in seconds. All of it, if end is 0.
struct Interval {
  double begin = 0, end = 0;

  bool whole() const { return end == 0; }
};

// A line of `segments`: utterance, recording, begin and end in seconds; an end of -1 is the
// recording's. Throws IoError with file and line for what is none, or ends before it begins.
struct Segment {
  std::string_view utterance, recording;  // of the file's content
  Interval interval;
};
Segment parse_segment(const LineFile& file, const LineFile::Line& line);

// The samples of the interval, whose ends are rounded to the nearest sample. An end up to half a
// second behind the recording's is taken for it, as Kaldi does; IoError with `name` (the recording)
// for one further behind, or if no sample is left.
Audio cut(const Audio& audio, const Interval& interval, const std::string& name);

}  // namespace tarn::data
