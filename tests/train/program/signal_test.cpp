// Signals to the commands that compute without training: they end soon, and print nothing by half.
#include <csignal>
#include <sstream>

#include "core/check.h"
#include "tests/support/disposition.h"
#include "tests/support/image_files.h"
#include "tests/support/paths.h"
#include "tests/train/tiny_speech.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

// Signals tarn eval in the middle of computing, which would take seconds or more.
void check_evaluation_ends(const Arguments& arguments) {
  for (const int signal : {SIGINT, SIGTERM}) {
    CAPTURE(signal);
    const Disposition usual(signal, SIG_DFL);
    Program program(arguments);
    REQUIRE(wait_until([&] { return program.handles(signal); }));
    const double begin = program.processor_seconds();
    REQUIRE(wait_until([&] { return program.processor_seconds() > begin + 0.2; }));
    program.send(signal);
    const Outcome outcome = program.wait(60);
    INFO(outcome.err);
    CHECK(outcome.code == 128 + signal);
    CHECK(outcome.out == "");
    CHECK(contains(outcome.err,
                   message("stopped by ", signal == SIGINT ? "Ctrl-C" : "SIGTERM (terminate)",
                           " before the evaluation was complete")));
  }
}

TEST_CASE("signals: eval ends between two batches, and prints nothing") {
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=1"}));
  check_evaluation_ends({"eval", runs / "run", "--set", "train.eval_batches=1000000", "--json"});
}

// All images are one batch, so that a signal which only the next one noticed would change nothing.
TEST_CASE("signals: eval by steps ends between two positions") {
  const TinyRuns runs;
  write_idx_folder(runs / "images", 17, 16, 64, 64);
  run_ok(runs.train("run", {"task.kind=images", "task.sequence_length=4095", "task.validation=1",
                            "train.steps=0", "model.layers=4", "model.heads=4", "model.head_dim=64",
                            "task.data=" + (runs / "images").string()}));
  check_evaluation_ends({"eval", runs / "run", "--recurrent"});
}

// Utterances enough for seconds, all of the same audio.
constexpr int kLong = 5000;
void write_long_folder(const fs::path& folder) {
  fs::create_directory(folder);
  std::string audio, text, speakers;
  for (int i = 0; i < kLong; ++i) {
    audio += message("x", i, " u0.flac\n");
    text += message("x", i, " A B C\n");
    speakers += message("x", i, " s\n");
  }
  write_text(folder / "wav.scp", audio);
  write_text(folder / "text", text);
  write_text(folder / "utt2spk", speakers);
}

TEST_CASE("signals: eval and transcribe of speech end soon, and lines that are printed are whole") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=5"}));
  write_long_folder(speech.data() / "long");
  check_evaluation_ends(
      {"eval", speech / "run", "--set", "speech.test=long", "--set", "speech.beam=50"});

  const fs::path printed = speech / "printed.jsonl", features = speech / "features.safetensors";
  const Disposition usual(SIGTERM, SIG_DFL);
  Program program =
      Program::of_command({"bash", "-c",
                           "exec \"$TARN\" transcribe \"$RUN\" \"$DATA/long\" --json --beam 50 "
                           "--features \"$FEATURES\" >\"$OUT\""},
                          {{"TARN", tarn::test::program()},
                           {"RUN", speech / "run"},
                           {"DATA", speech.data()},
                           {"FEATURES", features},
                           {"OUT", printed}});
  REQUIRE(wait_until([&] { return fs::exists(printed) && fs::file_size(printed) > 5000; }));
  program.send(SIGTERM);
  const Outcome outcome = program.wait(20);
  INFO(outcome.err);
  CHECK(outcome.code == 128 + SIGTERM);
  CHECK(contains(outcome.err, "stopped by SIGTERM (terminate); what is printed is whole, and " +
                                  features.string() + " is not written"));
  CHECK_FALSE(fs::exists(features));
  std::istringstream lines(read_file(printed));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    CHECK_FALSE(lines.eof());  // it ended with a newline
    CHECK(line.starts_with(message("{\"audio\":\"x", count, "\",")));
    CHECK(line.ends_with("]}"));
  }
  CHECK(count > 10);
  CHECK(count < kLong);
}

}  // namespace
}  // namespace tarn::test
