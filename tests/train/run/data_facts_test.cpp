// A run stands for itself: what the model depends on and the data says is in its checkpoints, and
// is compared when a checkpoint meets data again.
#include "tests/support/image_files.h"
#include "tests/train/tiny_speech.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

TEST_CASE("data facts: a list of phones in another order is refused, with both values") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=20"}));
  write_text(speech.data() / "phones.txt", "<blk> 0\nB 1\nA 2\nC 3\n");
  const std::vector<std::string> said = {"was trained with other data", "phones \"<blk> A B C\"",
                                         "the data here has \"<blk> B A C\""};
  check_refused({"eval", speech / "run"}, said);
  const auto before = snapshot(speech / "run" / "checkpoints");
  check_refused(speech.runs().resume("run", {"train.steps=30"}), said);
  CHECK(snapshot(speech / "run" / "checkpoints") == before);
}

TEST_CASE("data facts: a run transcribes without its data, and from anywhere") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=20"}));
  fs::copy(speech.data() / "u0.flac", speech / "alone.flac");
  const std::string wanted =
      run_ok({"transcribe", speech / "run", speech / "alone.flac", "--json"}).out;
  fs::remove_all(speech.data());
  const Outcome outcome = run_script("cd / && \"$TARN\" transcribe \"$RUN\" \"$AUDIO\" --json",
                                     {{"RUN", speech / "run"}, {"AUDIO", speech / "alone.flac"}});
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(outcome.out == wanted);
}

TEST_CASE("data facts: audio of another rate is refused, though the config leaves the rate open") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=10", "speech.sample_rate=0"}));
  const auto samples = made_samples(3200, 1);
  write_audio(speech / "fast.wav", {.samples = samples, .sample_rate = 16000});
  check_refused({"transcribe", speech / "run", speech / "fast.wav"}, {"16000", "8000"});
  for (const auto& entry : fs::directory_iterator(speech.data())) {
    if (entry.path().extension() != ".flac") continue;
    write_audio(entry.path(),
                {.samples = samples, .sample_rate = 16000, .format = AudioFormat::flac});
  }
  check_refused({"eval", speech / "run"}, {"16000", "8000", "speech.sample_rate"});
}

TEST_CASE("data facts: images of another shape with as many values are refused") {
  const TinyRuns runs;
  write_idx_folder(runs / "images", 12, 5, 4, 6);
  write_idx_folder(runs / "turned", 12, 5, 6, 4);
  const Arguments settings = {"task.kind=images", "task.sequence_length=23", "task.validation=2",
                              "train.steps=4", "train.eval_batches=1"};
  Arguments with = settings;
  with.push_back("task.data=" + (runs / "images").string());
  run_ok(runs.train("run", with));
  run_ok({"eval", runs / "run"});
  // No square has 24 values; the checkpoint knows the shape.
  run_ok({"generate", runs / "run", "--count", "1", "--out", runs / "out"});
  check_refused({"generate", runs / "run", "--count", "1", "--given", runs / "turned", "--out",
                 runs / "refused"},
                {"images \"4x6\"", "has \"6x4\""});
  const std::string turned = "task.data=" + (runs / "turned").string();
  check_refused({"eval", runs / "run", "--set", turned}, {"images \"4x6\"", "has \"6x4\""});
  with.back() = turned;
  with.push_back("train.steps=6");
  check_refused(runs.resume("run", with), {"images \"4x6\"", "has \"6x4\""});
}

}  // namespace
}  // namespace tarn::test
