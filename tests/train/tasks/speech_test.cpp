// The speech task by the program: audio files in, phones out.
#include <csignal>
#include <nlohmann/json.hpp>

#include "core/io/safetensors.h"
#include "core/rng.h"
#include "tests/support/random_tensor.h"
#include "tests/train/json_lines.h"
#include "tests/train/tiny_speech.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::vector<Arguments> kKinds = {
    {"model.attention=linear"}, {"model.attention=full"}, {"model.kind=bilstm"}};

TEST_CASE("speech: each kind of model learns, and the best checkpoint is that of the lowest PER") {
  const TinySpeech speech;
  for (const Arguments& kind : kKinds) {
    CAPTURE(kind[0]);
    run_ok(speech.runs().train(kind[0], with(kind, {"optimizer.lr=0.02", "train.steps=60"})));
    double first_loss = 0, last_loss = 0, best = 1e9;
    std::int64_t best_step = 0;
    for (const json& line : json_lines(log_of(speech / kind[0]))) {
      if (!line.contains("evaluation")) continue;
      const json& evaluation = line["evaluation"];
      last_loss = evaluation["loss"];
      if (first_loss == 0) first_loss = last_loss;
      const double per = evaluation["per"];
      CHECK(per == doctest::Approx(evaluation["substitutions"].get<double>() +
                                   evaluation["deletions"].get<double>() +
                                   evaluation["insertions"].get<double>()));
      if (per <= best) best_step = line["step"];  // of equal ones the later
      best = std::min(best, per);
    }
    CHECK(last_loss < first_loss);
    const Outcome eval = run_ok({"eval", speech / kind[0], "--json", "--split", "validation"});
    const json result = json::parse(eval.out);
    CHECK(result["step"] == best_step);
    CHECK(result["per"].get<double>() == best);
  }
}

TEST_CASE("speech: killed runs end in the same bytes, cache and plateau included") {
  const TinySpeech speech;
  const RngAddress at{20201, site_of("speech"), 0};
  std::uint64_t draw = 0;
  for (const Arguments& kind : kKinds) {
    CAPTURE(kind[0]);
    const std::string whole = message("whole", kind[0]), parts = message("parts", kind[0]);
    const double seconds = run_ok(speech.runs().train(whole, kind)).seconds;
    for (int kills = 0; kills < 4; ++kills) {
      fs::remove_all(speech.cache());  // so that a kill may be in the middle of making it
      run_and_kill(speech.runs().go_on(parts, kind), seconds * random_uniform(at, draw++));
    }
    run_ok(speech.runs().go_on(parts, kind));
    CHECK(run_difference(speech / whole, speech / parts) == "");
  }
  CHECK(contains(log_of(speech / "wholemodel.attention=linear"), "\"lr\":0.005"));  // it was halved
}

TEST_CASE("speech: a spoilt cache is made again, and changes nothing") {
  const TinySpeech speech;
  run_ok(speech.runs().train("whole"));
  for (const auto& entry : fs::recursive_directory_iterator(speech.cache())) {
    if (entry.is_regular_file()) write_text(entry.path(), "spoilt");
  }
  const Outcome outcome = run_ok(speech.runs().train("again"));
  CHECK(contains(outcome.err, "note: computed again: "));
  CHECK(run_difference(speech / "whole", speech / "again") == "");
  run_ok(speech.runs().train("without", {"speech.cache="}));
  CHECK(run_difference(speech / "whole", speech / "without") == "");
  // It may lie elsewhere when a run goes on.
  const std::string elsewhere = message("speech.cache=", (speech / "elsewhere").string());
  run_ok(speech.runs().train("parts", {"train.steps=20"}));
  run_ok(speech.runs().resume("parts", {elsewhere}));
  CHECK(fs::exists(speech / "elsewhere"));
  CHECK(run_difference(speech / "whole", speech / "parts") == "");
}

TEST_CASE("speech: the bytes do not depend on the number of threads [thread]") {
  const TinySpeech speech;
  for (const Arguments& kind : kKinds) {
    const Arguments settings = with(kind, {"train.steps=9", "speech.stack=2"});
    const std::string one = message("one", kind[0]), three = message("three", kind[0]);
    run_ok(speech.runs().train(one, settings), {{"OMP_NUM_THREADS", "1"}});
    run_ok(speech.runs().train(three, settings), {{"OMP_NUM_THREADS", "3"}});
    CHECK(run_difference(speech / one, speech / three) == "");
  }
}

TEST_CASE("speech: early stop ends a run that no longer gets better") {
  const TinySpeech speech;
  // Nothing is learnt: the first evaluation is the best, and two more are waited for.
  const Arguments settings = {"optimizer.lr=1e-12", "train.early_stop=2"};
  const Outcome outcome = run_ok(speech.runs().train("run", settings));
  CHECK(contains(outcome.err, "stopped early"));
  CHECK(latest_checkpoint(speech / "run").filename() == "step_000000015");
  const auto before = snapshot(speech / "run");
  run_ok(speech.runs().resume("run", settings));
  CHECK(snapshot(speech / "run") == before);
  // It may be called off.
  run_ok(speech.runs().resume("run", {"optimizer.lr=1e-12", "train.early_stop=0"}));
  CHECK(latest_checkpoint(speech / "run").filename() == "step_000000040");
}

TEST_CASE("speech: transcribe prints phones with times and scores") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"speech.stack=2", "optimizer.lr=0.02"}));
  const std::string run = speech / "run";
  const fs::path audio = speech.data() / "u0.flac";
  const Outcome text = run_ok({"transcribe", run, audio});
  CHECK(contains(text.out, audio.string()));
  CHECK(contains(text.out, "log-probability"));

  // A file, a folder of files, a Kaldi-style folder; greedy and with a beam.
  CHECK(json_lines(run_ok({"transcribe", run, audio, "--json"}).out).size() == 1);
  fs::create_directory(speech / "loose");
  fs::copy(audio, speech / "loose" / "b.flac");
  fs::copy(audio, speech / "loose" / "a.FLAC");
  write_text(speech / "loose" / "notes.txt", "no audio");
  const auto loose = json_lines(run_ok({"transcribe", run, speech / "loose", "--json"}).out);
  REQUIRE(loose.size() == 2);
  CHECK(loose[0]["audio"] == (speech / "loose" / "a.FLAC").string());
  CHECK(loose[0]["phones"] == loose[1]["phones"]);
  for (const Arguments& beam : {Arguments{}, Arguments{"--beam", "5"}}) {
    const auto lines =
        json_lines(run_ok(with({"transcribe", run, speech.data() / "test", "--json"}, beam)).out);
    REQUIRE(lines.size() == 3);
    CHECK(lines[0]["audio"] == "u12");
    for (const json& line : lines) {
      CHECK(line["log_probability"].get<double>() <= 0);
      double before = 0;
      for (const json& phone : line["phones"]) {
        CHECK(phone["start"].get<double>() >= before);
        before = phone["end"];
        CHECK(before > phone["start"].get<double>());
        CHECK(before <= 1.0);
        CHECK(phone["probability"].get<double>() > 0);
        CHECK(phone["probability"].get<double>() <= 1);
        CHECK(contains("ABC", phone["phone"].get<std::string>()));
      }
    }
  }
}

TEST_CASE("speech: transcribe writes what the model was given") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=5"}));
  const fs::path file = speech / "features.safetensors", audio = speech.data() / "u0.flac";
  const Outcome without = run_ok({"transcribe", speech / "run", speech.data() / "test", "--json"});
  const Outcome with = run_ok(
      {"transcribe", speech / "run", speech.data() / "test", audio, "--json", "--features", file});
  CHECK(with.out.starts_with(without.out));
  const SafetensorsFile features(file);
  CHECK(features.entries().size() == 4);
  CHECK(features.read("u12").shape() == Shape{78, 20});  // 0.8 s
  const Tensor alone = features.read(audio.string());    // normalised by itself
  CHECK(alone.shape() == Shape{28, 20});
  for (std::int64_t b = 0; b < 20; ++b) {
    double sum = 0;
    for (std::int64_t t = 0; t < 28; ++t) sum += get(alone, {t, b});
    CHECK(sum == doctest::Approx(0).epsilon(1e-4));
  }
}

// What transcribe hears is what eval counts: same features, same normalisation, same decoding.
TEST_CASE("speech: transcribe of a folder and eval agree on the number of errors") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"optimizer.lr=0.02", "train.steps=60"}));
  const json eval = json::parse(run_ok({"eval", speech / "run", "--json"}).out);
  std::size_t decoded = 0;
  const auto lines =
      json_lines(run_ok({"transcribe", speech / "run", speech.data() / "test", "--json"}).out);
  for (const json& line : lines) decoded += line["phones"].size();
  const std::size_t spoken = 8 + 9 + 3;  // u12 to u14, a phone each tenth of a second
  const double insertions = eval["insertions"], deletions = eval["deletions"];
  CHECK(static_cast<double>(decoded) ==
        doctest::Approx(static_cast<double>(spoken) * (1 + insertions - deletions)));
}

}  // namespace
}  // namespace tarn::test
