// `tarn data` of speech: what it says of a folder, and of what is wrong with one.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "core/check.h"
#include "tests/support/audio_files.h"
#include "tests/support/optional_data.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace tarn::test {
namespace {

// Standard output of a command that succeeds.
std::string output_of(const Arguments& arguments) {
  const Outcome outcome = run_program(arguments);
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  return outcome.out;
}

void check_holds(const std::string& output, const std::string& part) {
  INFO(output);
  CAPTURE(part);
  CHECK(output.find(part) != std::string::npos);
}

TEST_CASE("data command: a folder of speech") {
  const TempDir dir(fast_directory());
  write_speech_folder(dir / "train", 7);
  const std::string out = output_of({"data", dir / "train"});
  check_holds(out, message((dir / "train").string(),
                           ": 7 utterances of 2 speakers, 0.001 hours (4 s) at 8000 Hz\n"));
  check_holds(out, "  seconds an utterance  0.30 to 0.90, median 0.60\n");
  check_holds(out, "  phones an utterance   3 to 9, 42 in all; 10.0 a second at most\n");
  check_holds(out,
              "phone        train\nA               14\nB               14\nC               14\n");
  CHECK(out.find("never") == std::string::npos);
  // The checksum is of the audio and of the ids, not of its place.
  const std::string moved = output_of({"data", dir / "train", "--text", ""});
  CHECK(moved.find("phones") == std::string::npos);
  const auto audio_of = [](const std::string& text) {
    const std::size_t at = text.find(" audio ");
    return text.substr(at, text.find('\n', at) - at);
  };
  CHECK(audio_of(moved) == audio_of(out));
  write_audio(
      dir / "train/u3.flac",
      {.samples = made_samples(4800, 77), .sample_rate = 8000, .format = AudioFormat::flac});
  CHECK(audio_of(output_of({"data", dir / "train"})) != audio_of(out));
}

TEST_CASE("data command: a folder of folders of speech, words, and mistakes") {
  const TempDir dir(fast_directory());
  write_speech_folder(dir / "sets/b", 2);
  write_speech_folder(dir / "sets/a", 3);
  std::filesystem::rename(dir / "sets/a/phones.txt", dir / "sets/phones.txt");
  write_text(dir / "sets/phones.txt", "<blk>\nA\nB\nC\nUNUSED\n");
  write_text(dir / "sets/a/wav.scp", "u0 a/u0.flac\nu1 a/u1.flac\nu2 a/u2.flac\n");
  write_text(dir / "sets/b/wav.scp", "u0 b/u0.flac\nu1 b/u1.flac\n");
  const std::string out = output_of({"data", dir / "sets"});
  check_holds(out, "phone            a         b\n");
  check_holds(out, "never    UNUSED\n");
  CHECK(out.find("sets/a: 3 utterances") < out.find("sets/b: 2 utterances"));
  // One of them: the list lies above it, and its paths start elsewhere.
  const Arguments one = {"data", dir / "sets/b", "--audio-root", dir / "sets"};
  check_holds(output_of(one), "phones an utterance   3 to 4, 7 in all");

  write_text(dir / "lexicon.txt", "a A\nb B\nc C A\n");
  Arguments words = one;
  words.insert(words.end(), {"--lexicon", dir / "lexicon.txt"});
  check_holds(output_of(words), "phones an utterance   4 to 5, 9 in all");

  const Outcome outcome = run_program({"data", dir / "sets/b"});
  CHECK(outcome.code == 2);
  CHECK(outcome.out.empty());
  check_holds(outcome.err, message("sets/b/wav.scp:1: u0 has no audio: "));
  check_holds(outcome.err, "(speech.audio_root)");
}

TEST_CASE("data command: AN4") {
  const auto data = optional_data("data/speech/an4");
  if (data.empty()) return;
  const std::string out = output_of({"data", data / "data/speech/an4"});
  check_holds(out, "train: 773 utterances of 60 speakers, 0.572 hours (2057 s) at 16000 Hz\n");
  check_holds(out, "valid: 96 utterances of 8 speakers");
  check_holds(out, "test: 130 utterances of 10 speakers");
  check_holds(out, "phones an utterance   2 to 49, 11551 in all; 14.7 a second at most\n");
  check_holds(out, "never    DH NG OY SH UH ZH\n");
}

}  // namespace
}  // namespace tarn::test
