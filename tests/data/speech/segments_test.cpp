// Utterances that are stretches of recordings, from Kaldi's file to the features.
#include "data/speech/segments.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/check.h"
#include "data/speech/features.h"
#include "data/speech/folder.h"
#include "tests/support/audio_files.h"
#include "tests/support/program.h"
#include "tests/support/random_tensor.h"
#include "tests/support/temp_dir.h"

namespace tarn::data {
namespace {

// Two recordings of a second each, and four utterances of them.
class Recordings {
 public:
  Recordings() {
    for (int r = 0; r < 2; ++r) {
      samples_[r] = test::made_samples(8000, static_cast<std::uint64_t>(r));
      test::write_audio(
          dir_ / message("r", r, ".flac"),
          {.samples = samples_[r], .sample_rate = 8000, .format = test::AudioFormat::flac});
    }
    write("wav.scp", "r0 r0.flac\nr1 r1.flac\n");
    write("text", "a A\nb B\nc A B\nd C\n");
    write("utt2spk", "a s\nb s\nc t\nd t\n");
    write("phones.txt", "<blk>\nA\nB\nC\n");
    write("segments", "a r0 0 0.25\nb r0 0.25 0.75\nc r1 0.1 1.3\nd r1 0.5 -1\n");
  }

  void write(const std::string& file, const std::string& text) const {
    test::write_text(dir_ / file, text);
  }
  SpeechFolder read() const {
    const PhoneList phones(dir_ / "phones.txt");
    return read_speech_folder({.folder = dir_.path(), .phones = &phones});
  }
  void check_refused(const std::string& segments, const std::string& why) const {
    write("segments", segments);
    CHECK_THROWS_WITH_AS(read(), doctest::Contains(why.c_str()), IoError);
  }
  std::vector<float> part(int recording, int first, int last) const {
    return {samples_[recording].begin() + first, samples_[recording].begin() + last};
  }
  const std::filesystem::path& path() const { return dir_.path(); }

 private:
  test::TempDir dir_;
  std::vector<float> samples_[2];
};

TEST_CASE("segments: utterances are stretches of recordings, in the file's order") {
  const Recordings recordings;
  const SpeechFolder folder = recordings.read();
  REQUIRE(folder.utterances.size() == 4);
  CHECK(folder.utterances[1].id == "b");
  CHECK(folder.utterances[1].audio.filename() == "r0.flac");
  CHECK(folder.utterances[1].interval.begin == 0.25);
  CHECK(folder.utterances[2].phones == std::vector<std::int32_t>{1, 2});
  CHECK(folder.speakers == std::vector<std::string>{"s", "t"});
  CHECK(folder.where(folder.utterances[3]) == (recordings.path() / "segments").string() + ":4: d");
}

TEST_CASE("segments: the features are those of the samples cut out by hand") {
  const Recordings recordings;
  const test::TempDir cache(test::fast_directory());
  const std::vector<std::vector<float>> parts = {
      recordings.part(0, 0, 2000), recordings.part(0, 2000, 6000), recordings.part(1, 800, 8000),
      recordings.part(1, 4000, 8000)};
  const FeatureOptions options{.normalisation = Normalisation::none};
  for (int round = 0; round < 2; ++round) {  // computed, then from the cache
    const SpeechFeatures features = load_features(recordings.read(), options, cache.path());
    CHECK(features.computed == (round == 0 ? 4 : 0));
    CHECK(features.samples == 2000 + 4000 + 7200 + 4000);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      CAPTURE(i);
      const Tensor expected = Fbank(options.fbank, 8000).compute(parts[i]);
      CHECK(test::to_vector(features.frames[i]) == test::to_vector(expected));
    }
  }
}

TEST_CASE("segments: mistakes are named with the file's line") {
  const Recordings recordings;
  const std::string file = (recordings.path() / "segments").string();
  recordings.check_refused("a r0 0 x\n", file + ":1: a: \"x\" is no time in seconds");
  recordings.check_refused("a r0 0\n", file + ":1: a: \"\" is no time");
  recordings.check_refused("a r0 0 1 2\n", file + ":1: a: \"2\" is behind the two times");
  recordings.check_refused("a r0 nan 1\n", "\"nan\" is no time");
  recordings.check_refused("a r0 0.5 0.5\n", "is no interval of a recording");
  recordings.check_refused("a r0 -1 0.5\n", "is no interval of a recording");
  recordings.check_refused("a r7 0 1\n", "recording r7, which is not in ");
  recordings.check_refused("a r0 0 1\na r1 0 1\n", ":2: a is a second time");
  recordings.check_refused("", "names no utterance");
  recordings.check_refused("a r0 0 1\nb r0 0 1\nc r1 0 1\n",
                           "d has no audio: it is not in " + file);
}

TEST_CASE("segments: an end behind the recording's is tolerated up to half a second") {
  const Audio audio{8000, test::made_samples(8000, 1)};
  CHECK(cut(audio, {0.5, 1.5}, "r").samples.size() == 4000);
  CHECK(cut(audio, {0, 0}, "r").samples.size() == 8000);
  CHECK_THROWS_WITH_AS(cut(audio, {0.5, 1.51}, "r"), doctest::Contains("ends at 1.51 seconds"),
                       IoError);
  CHECK_THROWS_WITH_AS(cut(audio, {1.2, 1.4}, "r"), doctest::Contains("holds no sample"), IoError);
  CHECK_THROWS_AS(cut(audio, {0.5, 0.50001}, "r"), IoError);
}

}  // namespace
}  // namespace tarn::data
