// Short runs of the three tasks, ended at random moments by signals and full disks, also while they
// are being resumed and from earlier checkpoints, and resumed each time: they end in the bytes of a
// run that nothing happened to. A few in the tests; as many as one likes by
//   TARN_KILLS=1000 TARN_KILLS_SEED=7 build/release/tests/test_train --test-case='kills:*'
#include <array>
#include <csignal>

#include "core/check.h"
#include "core/rng.h"
#include "data/drawn_images.h"
#include "tests/support/paths.h"
#include "tests/train/tiny_speech.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

// Ways to end. A fault strikes at one of the run's changes to its folder, and a signal at any time.
struct Way {
  const char* name;
  int signal;         // 0: a fault
  const char* fault;  // as the fault injector calls it
};
constexpr std::array kWays = {Way{"SIGKILL", SIGKILL, ""}, Way{"SIGTERM", SIGTERM, ""},
                              Way{"SIGHUP", SIGHUP, ""}, Way{"full disk", 0, "ENOSPC"},
                              Way{"SIGKILL in a write", 0, "tear"}};

class Kills {
 public:
  Kills(const TinyRuns& runs, const std::string& task, Arguments settings)
      : runs_(runs),
        task_(task),
        settings_(std::move(settings)),
        seed_(static_cast<std::uint64_t>(number_from("TARN_KILLS_SEED", 1))),
        at_{seed_, site_of("kills." + task), 0} {
    whole_seconds_ = run_ok(runs_.train("whole", settings_)).seconds;
    start_seconds_ = run_ok(runs_.resume("whole", settings_)).seconds;
    fs::create_directory(runs_ / "counted");
    Environment count = fault("counted", "kill", 0);
    count.emplace_back("TARN_FAULT_COUNT_FILE", runs_ / "count");
    run_ok(runs_.train("counted", settings_), count);
    calls_ = std::stoll(read_file(runs_ / "count"));
  }

  void run() {
    const std::int64_t expected = (number_from("TARN_KILLS", 30) + 2) / 3;  // of three tasks
    while (kills_ < expected && !failed_) step();
    finish();
    std::string text;
    for (std::size_t way = 0; way < kWays.size(); ++way) {
      text += message(way == 0 ? "" : ", ", counts_[way], " ", kWays[way].name);
    }
    MESSAGE(task_, ", seed ", seed_, ": ", kills_, " kills (", text, "), ", resumed_,
            " of them of a resumed run, ", earlier_, " of one from an earlier checkpoint; ",
            compared_, " runs compared; a run takes ", whole_seconds_, " s");
  }

 private:
  double draw(double below) { return below * random_uniform(at_, draws_++); }
  std::size_t choose(std::size_t count) {
    return std::min(count - 1, static_cast<std::size_t>(draw(static_cast<double>(count))));
  }

  std::string name() const { return message("run", compared_); }

  Environment fault(const std::string& run, const char* kind, std::int64_t call) const {
    return {{"LD_PRELOAD", fault_injector()},
            {"TARN_FAULT_DIR", runs_ / run},
            {"TARN_FAULT_KIND", kind},
            {"TARN_FAULT_AT", std::to_string(call)}};
  }

  // How the run goes on: begun, resumed, or resumed from any of its checkpoints.
  Arguments go_on(bool& earlier) {
    earlier = false;
    std::vector<fs::path> checkpoints;
    if (fs::exists(runs_ / name() / "config.toml") && draw(1) < 0.25) {
      for (const auto& entry : fs::directory_iterator(runs_ / name() / "checkpoints")) {
        if (entry.path().filename().string().starts_with("step_")) checkpoints.push_back(entry);
      }
    }
    if (checkpoints.empty()) return runs_.go_on(name(), settings_);
    earlier = true;
    std::sort(checkpoints.begin(), checkpoints.end());
    const fs::path& chosen = checkpoints[choose(checkpoints.size())];
    return runs_.train(name(), settings_, {"--resume=" + chosen.string()});
  }

  // Half of the moments lie in the start, where a resumed run changes its folder.
  double moment() {
    return draw(1) < 0.5 ? draw(1.5 * start_seconds_) : draw(0.5 * whole_seconds_);
  }

  Outcome strike(const Way& way, const Arguments& arguments) {
    if (way.signal == 0) {
      const auto call =
          1 + static_cast<std::int64_t>(draw(static_cast<double>(draw(1) < 0.5 ? 30 : calls_ / 2)));
      history_ += message(" at call ", call);
      fs::create_directory(runs_ / name());
      return run_program(arguments, fault(name(), way.fault, call));
    }
    const double seconds = moment();
    history_ += message(" after ", seconds, " s");
    Program program(arguments);
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    program.send(way.signal);
    return program.wait();
  }

  static bool ended_by(const Way& way, const Outcome& outcome) {
    if (way.signal != 0) return outcome.signal == way.signal || outcome.code == 128 + way.signal;
    return outcome.signal == SIGKILL ||
           (outcome.code == 2 && contains(outcome.err, "fault injector: "));
  }

  void step() {
    const std::size_t which = choose(kWays.size());
    const Way& way = kWays[which];
    bool earlier = false;
    const bool resumed = fs::exists(runs_ / name() / "config.toml");
    const Arguments arguments = go_on(earlier);
    history_ += message("\n", arguments.back(), ": ", way.name);
    const Outcome outcome = strike(way, arguments);
    if (ended_by(way, outcome)) {
      ++kills_;
      ++counts_[which];
      resumed_ += resumed ? 1 : 0;
      earlier_ += earlier ? 1 : 0;
    } else {
      check_end(outcome);
    }
  }

  void finish() {
    if (!failed_) check_end(run_program(runs_.go_on(name(), settings_)));
  }

  void check_end(const Outcome& outcome) {
    const fs::path whole = runs_ / "whole", run = runs_ / name();
    CAPTURE(seed_);
    INFO(task_, " ", name(), history_);
    INFO(outcome.err);
    failed_ = outcome.code != 0;
    REQUIRE(outcome.code == 0);
    const fs::path left = latest_checkpoint(whole), right = latest_checkpoint(run);
    CHECK(left.filename() == right.filename());
    std::string differences = difference(whole / "metrics.jsonl", run / "metrics.jsonl");
    for (const auto& entry : fs::directory_iterator(left)) {
      differences += difference(entry.path(), right / entry.path().filename());
    }
    CHECK(differences == "");
    failed_ = !differences.empty();
    if (failed_) return;
    fs::remove_all(run);
    history_.clear();
    ++compared_;
  }

  const TinyRuns& runs_;
  std::string task_;
  Arguments settings_;
  std::uint64_t seed_;
  RngAddress at_;
  std::uint64_t draws_ = 0;
  double whole_seconds_ = 0, start_seconds_ = 0;
  std::int64_t calls_ = 0;
  std::array<std::int64_t, kWays.size()> counts_{};
  std::int64_t kills_ = 0, resumed_ = 0, earlier_ = 0, compared_ = 0;
  bool failed_ = false;
  std::string history_;  // of the run that is going on
};

TEST_CASE("kills: the copy task ends in the same bytes, whatever ends it on the way") {
  const TinyRuns runs;
  Kills(runs, "copy", {"train.steps=800", "train.keep_last=3", "model.dropout=0.1"}).run();
}

TEST_CASE("kills: so do images") {
  const TinyRuns runs;
  const data::ImageShape shape{8, 8, 1};
  data::write_image_folder(runs / "drawn", data::draw_images(shape, 60, "train", 1),
                           data::draw_images(shape, 10, "test", 1));
  Kills(runs, "images",
        {"task.kind=images", message("task.data=", (runs / "drawn").string()),
         "task.sequence_length=63", "task.mixtures=2", "task.validation=8", "train.batch_size=2",
         "train.steps=400", "train.keep_last=3", "model.dropout=0.1", "optimizer.lr=0.01"})
      .run();
}

TEST_CASE("kills: and so does speech, with the plateau schedule and an early stop") {
  const TinySpeech speech;
  Kills(speech.runs(), "speech",
        {"train.steps=400", "train.keep_last=3", "model.dropout=0.1", "train.early_stop=40"})
      .run();
}

}  // namespace
}  // namespace tarn::test
