// A run stands for itself: what the model depends on and the data says is in its checkpoints, and
// is compared when a checkpoint meets data again.
#include "core/io/safetensors.h"
#include "tests/support/image_files.h"
#include "tests/support/random_tensor.h"
#include "tests/train/tiny_speech.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

TEST_CASE("data facts: a list of phones in another order is refused, with both values") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=20"}));
  write_text(speech.data() / "phones.txt", "<blk> 0\nB 1\nA 2\nC 3\n");
  const std::vector<std::string> parts = {"was trained with other data",
                                          "phones[1]: \"A\" there, \"B\" here"};
  check_refused({"eval", speech / "run"}, parts);
  const auto before = snapshot(speech / "run" / "checkpoints");
  check_refused(speech.runs().resume("run", {"train.steps=30"}), parts);
  CHECK(snapshot(speech / "run" / "checkpoints") == before);
}

TEST_CASE("data facts: lists of phones of two lengths are told by their ends") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=10"}));
  write_text(speech.data() / "phones.txt", "<blk> 0\nA 1\nB 2\nC 3\nD 4\n");
  check_refused({"eval", speech / "run"}, {"phones[4]: none there, \"D\" here (4 there, 5 here)"});
}

TEST_CASE("data facts: weights of a model with other phones are refused, but for a bare file") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=10"}));
  write_text(speech.data() / "phones.txt", "<blk> 0\nA 1\nC 2\nB 3\n");
  write_safetensors(speech / "batch.safetensors",
                    {{"x", random_tensor({1, 1, 33, 20}, DType::f32, "x")},
                     {"lengths", full({1, 1}, DType::i64, 33)},
                     {"y", full({1, 1, 3}, DType::i64, 1)},
                     {"y_lengths", full({1, 1}, DType::i64, 3)}});
  const auto trace = [&](const fs::path& weights) {
    return Arguments{"trace",   speech.runs().config(),       "--weights", weights,
                     "--batch", speech / "batch.safetensors", "--out",     speech / "out"};
  };
  const std::vector<std::string> parts = {"phones[2]: \"B\" there, \"C\" here"};
  check_refused(trace(speech / "run"), parts);
  CHECK_FALSE(fs::exists(speech / "out"));
  check_refused(speech.runs().train("next", {}, {"--weights", speech / "run"}), parts);
  CHECK_FALSE(fs::exists(speech / "next"));
  run_ok(trace(latest_checkpoint(speech / "run") / "model.safetensors"));
}

TEST_CASE("data facts: tarn info shows them") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=10"}));
  const std::string out = run_ok({"info", speech / "run"}).out;
  CHECK(contains(out, "\n  phones: <blk> A B C\n"));
  CHECK(contains(out, "\n  sample_rate: 8000\n"));
}

TEST_CASE("data facts: transcribe takes a list of phones that is the model's, and no other") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=10"}));
  const auto with = [&](const std::string& name) {
    return Arguments{"transcribe", speech / "run", speech.data() / "u0.flac", "--set",
                     "speech.phones=" + name};
  };
  write_text(speech.data() / "same.txt", "<blk> 0\nA 1\nB 2\nC 3\n");
  write_text(speech.data() / "other.txt", "<blk> 0\nB 1\nA 2\nC 3\n");
  run_ok(with("same.txt"));
  check_refused(with("other.txt"), {"phones[1]: \"A\" there, \"B\" here"});
  check_refused(with("absent.txt"), {"absent.txt"});
}

TEST_CASE("data facts: a run transcribes without its data, and from anywhere") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=20"}));
  fs::copy(speech.data() / "u0.flac", speech / "alone.flac");
  const std::string expected =
      run_ok({"transcribe", speech / "run", speech / "alone.flac", "--json"}).out;
  fs::remove_all(speech.data());
  const Outcome outcome = run_script("cd / && \"$TARN\" transcribe \"$RUN\" \"$AUDIO\" --json",
                                     {{"RUN", speech / "run"}, {"AUDIO", speech / "alone.flac"}});
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(outcome.out == expected);
}

TEST_CASE("data facts: a run is evaluated and goes on without its list of phones") {
  const TinySpeech speech;
  const Arguments eval = {"eval", speech / "run", "--json"};
  run_ok(speech.runs().train("whole", {"train.steps=30"}));
  run_ok(speech.runs().train("run", {"train.steps=20"}));
  const std::string expected = run_ok(eval).out;
  fs::remove(speech.data() / "phones.txt");
  CHECK(run_ok(eval).out == expected);
  const Outcome elsewhere =
      run_script("cd / && \"$TARN\" eval \"$RUN\" --json", {{"RUN", speech / "run"}});
  INFO(elsewhere.err);
  CHECK(elsewhere.out == expected);
  run_ok(speech.runs().resume("run", {"train.steps=30"}));
  CHECK(run_difference(speech / "whole", speech / "run") == "");
  CHECK(difference(speech / "whole" / "config.toml", speech / "run" / "config.toml") == "");
}

TEST_CASE("data facts: with no list named, transcripts are read by the checkpoint's") {
  const TinySpeech speech;
  const Arguments none = {"--set", "speech.phones="};
  run_ok(speech.runs().train("whole", {"train.steps=30"}));
  run_ok(speech.runs().train("run", {"train.steps=20"}));
  Arguments eval = {"eval", speech / "run", "--json"};
  const std::string expected = run_ok(eval).out;
  write_text(speech.data() / "phones.txt", "<blk> 0\nC 1\nB 2\nA 3\n");
  const std::vector<std::string> other = {"phones[1]: \"A\" there, \"C\" here"};
  check_refused(eval, other);
  check_refused(speech.runs().resume("run", {"train.steps=30"}), other);
  eval.insert(eval.end(), none.begin(), none.end());
  CHECK(run_ok(eval).out == expected);
  run_ok(speech.runs().resume("run", {"train.steps=30", "speech.phones="}));
  CHECK(run_difference(speech / "whole", speech / "run") == "");
  // And from there on it is the run's own setting.
  CHECK(run_ok({"eval", speech / "run"}).out ==
        run_ok({"eval", speech / "whole", none[0], none[1]}).out);
}

TEST_CASE("data facts: a list of phones that is named must be there, and fit the transcripts") {
  const TinySpeech speech;
  check_refused(speech.runs().train("run", {"speech.phones="}),
                {"speech.phones is empty", "--set speech.phones=FILE"});
  CHECK_FALSE(fs::exists(speech / "run"));
  run_ok(speech.runs().train("run", {"train.steps=10"}));
  fs::remove(speech.data() / "phones.txt");
  check_refused({"eval", speech / "run", "--set", "speech.phones=absent.txt"}, {"absent.txt"});
  check_refused(speech.runs().resume("run", {"train.steps=20", "speech.phones=absent.txt"}),
                {"absent.txt"});
  write_text(speech.data() / "test" / "text", "u12 A\nu13 X\nu14 B\n");
  check_refused({"eval", speech / "run"},
                {"test/text:2: u13 holds X, which is not a phone of the checkpoint"});
}

TEST_CASE("data facts: what needs no data works from anywhere") {
  const TinyRuns runs;
  run_ok(runs.train("copy", {"train.steps=10"}));
  write_idx_folder(runs / "data", 12, 5, 4, 6);
  const std::string data = "task.data=" + (runs / "data").string();
  run_ok(runs.train("images", {"task.kind=images", "task.sequence_length=23", "task.validation=2",
                               "train.steps=4", "train.eval_batches=1", data}));
  fs::remove_all(runs / "data");
  fs::create_directory(runs / "elsewhere");
  const Outcome outcome = run_script(
      "cd \"$RUNS/elsewhere\" && \"$TARN\" eval ../copy && \"$TARN\" eval \"$RUNS/copy\" && "
      "\"$TARN\" generate ../images --count 1 --out out && ls",
      {{"RUNS", runs / ""}});
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(outcome.out.ends_with("\nout\n"));  // and nothing else was made there
}

TEST_CASE("data facts: audio of another rate is refused, though the config leaves the rate open") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=10", "speech.sample_rate=0"}));
  const auto samples = made_samples(3200, 1);
  write_audio(speech / "fast.wav", {.samples = samples, .sample_rate = 16000});
  check_refused({"transcribe", speech / "run", speech / "fast.wav"}, {"16000", "8000"});
  for (const Arguments& command : {Arguments{"eval", speech / "run"},
                                   Arguments{"transcribe", speech / "run", speech / "fast.wav"}}) {
    Arguments set = command;
    set.insert(set.end(), {"--set", "speech.sample_rate=16000"});
    check_refused(set, {"sample_rate: \"8000\" there, \"16000\" here"});
  }
  for (const auto& entry : fs::directory_iterator(speech.data())) {
    if (entry.path().extension() != ".flac") continue;
    write_audio(entry.path(),
                {.samples = samples, .sample_rate = 16000, .format = AudioFormat::flac});
  }
  check_refused({"eval", speech / "run"}, {"16000", "8000", "speech.sample_rate"});
}

TEST_CASE("data facts: folders of two rates are refused, though the config leaves the rate open") {
  const TinySpeech speech;
  // The utterances of the folder `valid`.
  for (const char* file : {"u9.flac", "u10.flac", "u11.flac"}) {
    write_audio(
        speech.data() / file,
        {.samples = made_samples(8000, 1), .sample_rate = 16000, .format = AudioFormat::flac});
  }
  check_refused(speech.runs().train("run", {"speech.sample_rate=0"}),
                {(speech.data() / "valid").string() + " has audio of 16000 Hz",
                 (speech.data() / "train").string() + " of 8000 Hz"});
  CHECK_FALSE(fs::exists(speech / "run"));
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
                {"images: \"4x6\" there, \"6x4\" here"});
  const std::string turned = "task.data=" + (runs / "turned").string();
  check_refused({"eval", runs / "run", "--set", turned}, {"images: \"4x6\" there, \"6x4\" here"});
  with.back() = turned;
  with.push_back("train.steps=6");
  check_refused(runs.resume("run", with), {"images: \"4x6\" there, \"6x4\" here"});
}

}  // namespace
}  // namespace tarn::test
