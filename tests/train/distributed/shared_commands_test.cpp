// eval, generate and transcribe under mpirun: what one process prints and writes, to the byte.
#include <algorithm>
#include <csignal>

#include "data/drawn_images.h"
#include "tests/train/distributed/mpirun.h"
#include "tests/train/tiny_speech.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

// A model of small images, hardly trained.
class TinyImages {
 public:
  TinyImages() {
    const data::ImageShape shape{6, 6, 1};
    data::write_image_folder(runs_ / "images", data::draw_images(shape, 30, "train", 1),
                             data::draw_images(shape, 21, "test", 1));
    run_ok(runs_.train("run", {"task.kind=images", "task.data=" + (runs_ / "images").string(),
                               "task.sequence_length=35", "task.mixtures=3", "task.validation=9",
                               "train.steps=3"}));
  }

  fs::path operator/(const std::string& name) const { return runs_ / name; }
  Arguments eval(const Arguments& more) const {
    return with({"eval", runs_ / "run", "--json"}, more);
  }
  Arguments generate(const std::string& out, const Arguments& more) const {
    return with({"generate", runs_ / "run", "--out", runs_ / out}, more);
  }

 private:
  TinyRuns runs_;
};

// Prints the same under mpirun, and of what is said on the way nothing twice.
void check_same_output(const Arguments& arguments, const std::vector<int>& numbers_of_ranks) {
  const Outcome alone = run_ok(arguments);
  REQUIRE_FALSE(alone.out.empty());
  for (const int ranks : numbers_of_ranks) {
    CAPTURE(ranks);
    const Outcome shared = run_ranks(ranks, arguments);
    INFO(shared.err);
    CHECK(shared.code == 0);
    CHECK(shared.out == alone.out);
    CHECK(shared.err == alone.err);
  }
}

TEST_CASE("ranks share: eval of the copy task") {
  if (!has_mpi()) return;
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=3", "train.eval_batches=5"}));
  check_same_output({"eval", runs / "run", "--json"}, {1, 2, 3});
  check_same_output({"eval", runs / "run"}, {4});
}

TEST_CASE("ranks share: eval of images, at once and value by value") {
  if (!has_mpi()) return;
  const TinyImages images;  // 21 images make 6 batches, and 2 of those that step
  check_same_output(images.eval({}), {1, 2, 3});
  check_same_output(images.eval({"--recurrent"}), {2, 3});
  check_same_output(images.eval({"--split", "validation", "--count", "5"}), {3});
}

TEST_CASE("ranks share: eval of speech") {
  if (!has_mpi()) return;
  const TinySpeech speech;
  run_ok(speech.runs().train("run"));
  for (const char* split : {"test", "validation"}) {
    check_same_output({"eval", speech / "run", "--json", "--split", split, "--set", "speech.beam=4",
                       "--set", "speech.batch_frames=80"},
                      {2, 3});
  }
}

TEST_CASE("ranks share: generate") {
  if (!has_mpi()) return;
  const TinyImages images;
  const auto check_same_images = [&](const Arguments& more, const std::vector<int>& numbers) {
    run_ok(images.generate("alone", more));
    auto alone = snapshot(images / "alone");
    for (const int ranks : numbers) {
      CAPTURE(ranks);
      run_ranks_ok(ranks, images.generate("shared", more));
      fs::remove_all(images / "alone");
      fs::rename(images / "shared", images / "alone");
      CHECK(snapshot(images / "alone") == alone);
    }
    fs::remove_all(images / "alone");
  };
  check_same_images({"--count", "7", "--batch", "5"}, {1, 2, 3});
  // A last batch of one image, of which two ranks have none.
  check_same_images({"--count", "5", "--batch", "4", "--given", images / "images", "--keep", "10",
                     "--completions", "2", "--mode", "full"},
                    {3});
}

TEST_CASE("ranks share: the figures of generate say how many they were") {
  if (!has_mpi()) return;
  const TinyImages images;
  run_ranks_ok(2, images.generate("out", {"--count", "3", "--json", images / "out" / "it.json"}));
  CHECK(contains(read_file(images / "out" / "it.json"), "\"ranks\": 2"));
}

TEST_CASE("ranks share: transcribe") {
  if (!has_mpi()) return;
  const TinySpeech speech;
  run_ok(speech.runs().train("run"));
  const Arguments transcribe{"transcribe", speech / "run", speech.data() / "u3.flac",
                             speech.data() / "test", speech.data() / "u1.flac"};
  check_same_output(transcribe, {1, 2, 3});
  const auto to = [&](const std::string& file) {
    return with(transcribe, {"--json", "--beam", "3", "--features", speech / file});
  };
  check_same_output(to("shared"), {2});
  run_ok(to("alone"));
  CHECK(difference(speech / "alone", speech / "shared") == "");
}

TEST_CASE("ranks share: what cannot be is refused by all and said once") {
  if (!has_mpi()) return;
  const TinyImages images;
  check_ranks_refused(2, images.eval({"--count", "22"}), "--count 22: the test images are 21");
  check_ranks_refused(2, {"eval", images / "none"}, "none");
  check_ranks_refused(2, images.generate("run", {"--count", "3"}), "is not empty");
  const std::string first = "mpirun --oversubscribe -n 1 \"$TARN\" generate " +
                            (images / "run").string() + " --count 3 --out " +
                            (images / "out").string();
  const Outcome outcome =
      run_script(first + " : -n 1" + first.substr(first.find(" \"$TARN\"")) + " --seed 2", kMpirun);
  INFO(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(contains(outcome.err, "--seed is 2 for rank 1 on "));
  CHECK_FALSE(fs::exists(images / "out"));
}

TEST_CASE("ranks share: a process that cannot do its part ends all, and is named") {
  if (!has_mpi()) return;
  const TinySpeech speech;
  run_ok(speech.runs().train("run"));
  write_text(speech.data() / "test" / "text", "");
  check_ranks_refused(
      2, {"transcribe", speech / "run", speech.data() / "test", "--set", "speech.max_frames=40"},
      "speech.max_frames is 40");
}

TEST_CASE("ranks share: a signal to any process ends all of them after the batch") {
  if (!has_mpi()) return;
  const TinyImages images;
  const Arguments generate{"--batch", "3", "--count", "100000"};
  const auto ready = [&] { return fs::exists(images / "out" / "0003.png"); };
  const Outcome outcome = signal_rank(2, images.generate("out", generate), ready, 1, SIGTERM);
  INFO(outcome.err);
  CHECK(outcome.code == 128 + SIGTERM);
  CHECK(contains(outcome.err, "stopped by SIGTERM (terminate) after "));
  CHECK(contains(outcome.err, " of 100000 images, which are written"));
  CHECK(fs::exists(images / "out" / "sheet.png"));
  run_ok(images.generate("alone", {"--count", "4"}));
  CHECK(difference(images / "alone" / "0003.png", images / "out" / "0003.png") == "");
}

TEST_CASE("ranks share: a process that hangs ends all in time, and is named") {
  if (!has_mpi()) return;
  const TinyImages images;
  const Arguments generate{"--batch", "3", "--count", "100000", "--set", "run.timeout=1"};
  const auto ready = [&] { return fs::exists(images / "out" / "0003.png"); };
  const Outcome outcome = signal_rank(3, images.generate("out", generate), ready, 2, SIGSTOP);
  INFO(outcome.err);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "rank 2 on "));
}

}  // namespace
}  // namespace tarn::test
