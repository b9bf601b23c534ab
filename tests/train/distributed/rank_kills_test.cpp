// Runs of several processes, one of which is killed at a random moment, resumed each time by
// another number of them: they end in the bytes of a run that nothing happened to. As many as one
// likes by
//   TARN_KILLS=100 TARN_KILLS_SEED=7 build/release/tests/test_train --test-case='mpi: *killed*'
#include <algorithm>
#include <csignal>

#include "core/rng.h"
#include "tests/train/distributed/mpirun.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

constexpr double kTimeout = 5;  // run.timeout
// What mpirun takes to notice, to end the others and to tidy up, on a busy machine.
constexpr double kMargin = 15;

// The names of the files below, for "nothing is left behind".
std::vector<std::string> files_below(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    names.push_back(fs::relative(entry.path(), folder).string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class RankKills {
 public:
  RankKills() {
    seconds_ = run_ok(runs_.train("whole", kSettings)).seconds;
    files_ = files_below(runs_ / "whole");
  }

  void run() {
    const std::int64_t expected = number_from("TARN_KILLS", 10);
    while (kills_ < expected) step();
    check_end(run_ranks(ranks(), go_on()));
    MESSAGE("seed ", seed_, ": ", kills_, " kills, ", compared_,
            " runs compared; the slowest end came ", slowest_, " s after its kill");
  }

 private:
  double draw(double below) { return below * random_uniform(at_, draws_++); }
  int choose(int count) { return std::min(count - 1, static_cast<int>(draw(count))); }
  int ranks() { return 1 + choose(4); }

  std::string name() const { return message("run", compared_); }
  Arguments go_on() const { return runs_.go_on(name(), kSettings); }

  // Kills a process of a run that begins or is resumed, unless the run has ended by then.
  void step() {
    const int count = ranks(), victim = choose(count);
    const double moment = draw(draw(1) < 0.5 ? 0.3 : 0.7 * seconds_);
    history_ += message("\n", count, " ranks, of which ", victim, " is killed ", moment,
                        " s after they were there");
    INFO("seed ", seed_, ", ", name(), history_);
    Program run = Program::of_command(command_of(count, go_on()), kMpirun);
    std::vector<pid_t> processes;
    REQUIRE(wait_until([&] {
      processes = ranks_of(run);
      return processes.size() == static_cast<std::size_t>(count);
    }));
    std::this_thread::sleep_for(std::chrono::duration<double>(moment));
    // One that has ended, and was not yet waited for, takes the signal and is none the worse.
    kill(processes[static_cast<std::size_t>(victim)], SIGKILL);
    const auto killed = std::chrono::steady_clock::now();
    const Outcome outcome = run.wait(kTimeout + kMargin);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - killed).count();
    INFO(outcome.err);
    REQUIRE(outcome.signal == 0);
    CHECK(wait_until([&] { return std::none_of(processes.begin(), processes.end(), alive); }, 5));
    if (outcome.code == 0) return check_end(outcome);
    // By mpirun, which knows no ranks yet of processes that have not joined.
    const bool named = contains(outcome.err, message("rank ", victim)) ||
                       contains(outcome.err, "1 process returned");
    CHECK(named);
    slowest_ = std::max(slowest_, seconds);
    ++kills_;
  }

  void check_end(const Outcome& outcome) {
    INFO("seed ", seed_, ", ", name(), history_);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    REQUIRE(run_difference(runs_ / "whole", runs_ / name()) == "");
    REQUIRE(files_below(runs_ / name()) == files_);
    fs::remove_all(runs_ / name());
    history_.clear();
    ++compared_;
  }

  inline static const Arguments kSettings = {
      "train.shards=4",    "train.batch_size=8",
      "train.steps=1000",  "train.log_every=50",
      "train.keep_last=3", "train.eval_every=50",
      "model.dropout=0.1", message("run.timeout=", kTimeout)};

  TinyRuns runs_;
  std::uint64_t seed_ = static_cast<std::uint64_t>(number_from("TARN_KILLS_SEED", 1));
  RngAddress at_{seed_, site_of("rank kills"), 0};
  std::uint64_t draws_ = 0;
  double seconds_ = 0;  // of a whole run
  std::vector<std::string> files_;
  double slowest_ = 0;
  std::int64_t kills_ = 0, compared_ = 0;
  std::string history_;  // of the run that is going on
};

TEST_CASE("mpi: a run whose ranks are killed, one after another, ends in the same bytes [slow]") {
  if (has_mpi()) RankKills().run();
}

}  // namespace
}  // namespace tarn::test
