// A kill, a torn write, a full disk or a failing one at each change that a run makes to its folder:
// what was saved stays loadable, and going on ends in the bytes of a run that nothing happened to.
#include <csignal>
#include <regex>
#include <set>

#include "core/check.h"
#include "tests/support/paths.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

// Five checkpoints or so, of which two and the best are kept.
const Arguments kFiveCheckpoints = {"train.steps=6", "train.eval_every=3",
                                    "train.checkpoint_every=2", "train.log_every=1"};

class FaultRuns {
 public:
  FaultRuns() {
    run_ok(runs_.train("whole", kFiveCheckpoints));
    fs::create_directory(runs_ / "counted");
    Environment count = fault("counted", "kill", 0);
    count.emplace_back("TARN_FAULT_COUNT_FILE", runs_ / "count");
    run_ok(runs_.train("counted", kFiveCheckpoints), count);
    calls_ = std::stoi(read_file(runs_ / "count"));
  }

  int calls() const { return calls_; }
  fs::path folder(const std::string& name) const { return runs_ / name; }

  Outcome strike(const std::string& name, const std::string& kind, int call) const {
    fs::create_directory(runs_ / name);
    return run_program(runs_.train(name, kFiveCheckpoints), fault(name, kind, call));
  }

  // What was saved can be read, and the run goes on to the end of the whole one.
  void check_recovery(const std::string& name) const {
    const fs::path latest = runs_ / name / "checkpoints" / "latest";
    const bool saved = fs::exists(latest);
    const bool holds_run = fs::exists(runs_ / name / "config.toml");
    CHECK((saved || !holds_run));
    if (saved) {
      const Outcome info = run_program({"info", runs_ / name});
      INFO(info.err);
      CHECK(info.code == 0);
    }
    run_ok(runs_.go_on(name, kFiveCheckpoints));
    CHECK(run_difference(runs_ / "whole", runs_ / name) == "");
    CHECK_FALSE(holds_unfinished(name));
  }

  bool holds_unfinished(const std::string& name) const {
    if (!fs::exists(runs_ / name)) return false;
    for (const auto& entry : fs::recursive_directory_iterator(runs_ / name)) {
      if (contains(entry.path().filename().string(), ".unfinished")) return true;
    }
    return false;
  }

 private:
  Environment fault(const std::string& name, const std::string& kind, int call) const {
    return {{"LD_PRELOAD", fault_injector()},
            {"TARN_FAULT_DIR", runs_ / name},
            {"TARN_FAULT_KIND", kind},
            {"TARN_FAULT_AT", std::to_string(call)}};
  }

  TinyRuns runs_;
  int calls_ = 0;
};

// The files of a run that were written and not synced, and the folders that a rename changed
// without being synced, each time the calls come to a rename of the pointer.
std::vector<std::set<std::string>> unsynced_at(const std::string& pointer, const fs::path& run,
                                               const std::string& report) {
  const std::regex line("trace at call [0-9]+: ([a-z]+)[0-9]* " + run.string() + "/?(\\S*)\n");
  std::vector<std::set<std::string>> all;
  std::set<std::string> unsynced;
  for (std::sregex_iterator at(report.begin(), report.end(), line), end; at != end; ++at) {
    const std::string call = (*at)[1], path = (*at)[2];
    if (call == "rename" && path.starts_with(pointer + ".tmp-")) all.push_back(unsynced);
    if (call == "write") unsynced.insert(path);
    if (call == "rename") unsynced.insert(fs::path(path).parent_path());
    if (call == "fsync") unsynced.erase(path);
  }
  return all;
}

// Else a power failure may leave a pointer to what is not there.
TEST_CASE("checkpoint: what it holds and the log are on the disk before a pointer means it") {
  const FaultRuns runs;
  const Outcome outcome = runs.strike("traced", "trace", 0);
  REQUIRE(outcome.code == 0);
  for (const char* pointer : {"checkpoints/latest", "checkpoints/best"}) {
    const auto moves = unsynced_at(pointer, runs.folder("traced"), outcome.err);
    CHECK(moves.size() >= 2);
    for (std::set<std::string> unsynced : moves) {
      unsynced.erase("timing.jsonl");  // of no use to a resumed run
      CHECK(unsynced == std::set<std::string>{});
    }
  }
}

void check_crashes(int stride) {
  const FaultRuns runs;
  REQUIRE(runs.calls() > 50);
  int crashes = 0;
  for (const char* kind : {"kill", "tear"}) {
    // The two kinds take different calls.
    for (int call = kind[0] == 'k' ? 1 : 1 + stride / 2; call <= runs.calls(); call += stride) {
      const std::string name = message(kind, call);
      CAPTURE(name);
      const Outcome outcome = runs.strike(name, kind, call);
      INFO(outcome.err);
      CHECK(outcome.signal == SIGKILL);
      runs.check_recovery(name);
      fs::remove_all(runs.folder(name));
      ++crashes;
    }
  }
  MESSAGE(crashes, " crashes at the ", runs.calls(), " calls");
}

void check_failures(int stride) {
  const FaultRuns runs;
  int failures = 0;
  for (const char* kind : {"ENOSPC", "EIO"}) {
    for (int call = kind[1] == 'N' ? 1 : 1 + stride / 2; call <= runs.calls(); call += stride) {
      const std::string name = message(kind, call);
      CAPTURE(name);
      const Outcome outcome = runs.strike(name, kind, call);
      INFO(outcome.err);
      CHECK(outcome.code == 2);
      CHECK(contains(outcome.err, "tarn: cannot "));
      CHECK(contains(outcome.err.substr(outcome.err.rfind("tarn: cannot ")),
                     runs.folder(name).string()));
      const bool removing = contains(outcome.err, "cannot remove");
      CHECK((removing || !runs.holds_unfinished(name)));
      runs.check_recovery(name);
      fs::remove_all(runs.folder(name));
      ++failures;
    }
  }
  MESSAGE(failures, " failures at the ", runs.calls(), " calls");
}

// Going back to an earlier checkpoint changes a folder that holds a whole run: the pointers, the
// checkpoints after it, the log. Each of the first calls is struck, which are those changes and the
// first steps after them.
TEST_CASE("checkpoint: a crash while a run goes back to an earlier checkpoint can be resumed") {
  const TinyRuns runs;
  const Arguments settings = {"train.steps=6", "train.eval_every=3", "train.checkpoint_every=2",
                              "train.log_every=1", "train.keep_last=100"};
  run_ok(runs.train("whole", settings));
  for (const char* kind : {"kill", "tear"}) {
    for (int call = 1; call <= 50; ++call) {
      CAPTURE(kind);
      CAPTURE(call);
      fs::copy(runs / "whole", runs / "run", fs::copy_options::recursive);
      const fs::path earlier = runs / "run" / "checkpoints" / "step_000000002";
      const Outcome outcome =
          run_program(runs.train("run", settings, {"--resume=" + earlier.string()}),
                      {{"LD_PRELOAD", fault_injector()},
                       {"TARN_FAULT_DIR", runs / "run"},
                       {"TARN_FAULT_KIND", kind},
                       {"TARN_FAULT_AT", std::to_string(call)}});
      CHECK(outcome.signal == SIGKILL);
      run_ok({"info", runs / "run"});
      run_ok({"eval", runs / "run"});
      run_ok(runs.resume("run", settings));
      CHECK(run_difference(runs / "whole", runs / "run") == "");
      fs::remove_all(runs / "run");
    }
  }
}

TEST_CASE("checkpoint: a crash at every thirteenth call loses nothing that was saved") {
  check_crashes(13);
}

TEST_CASE("checkpoint: a crash at every call loses nothing that was saved [slow]") {
  check_crashes(1);
}

TEST_CASE("checkpoint: a full or failing disk is an error that names the file; all else stays") {
  check_failures(13);
}

TEST_CASE("checkpoint: the same at every call [slow]") { check_failures(1); }

}  // namespace
}  // namespace tarn::test
