// A run touches nothing that it did not write: what may be in its folder when it begins, and what
// it removes while it goes on.
#include <csignal>

#include "core/check.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

const Arguments kSixSteps = {"train.steps=6", "train.eval_every=3", "train.checkpoint_every=2"};

// Refused, and the folder is as it was.
void check_kept(const Arguments& arguments, const fs::path& folder,
                const std::vector<std::string>& parts) {
  const auto before = snapshot(folder);
  check_refused(arguments, parts);
  CHECK(snapshot(folder) == before);
}

TEST_CASE("folder: a run does not begin in a folder that holds anything") {
  const TinyRuns runs;
  for (const char* name : {"notes.txt", "metrics.jsonl", "checkpoints/step_000000002/state.json",
                           "checkpoints/latest", ".hidden", "model.safetensors"}) {
    CAPTURE(name);
    fs::create_directories((runs / "own" / name).parent_path());
    write_text(runs / "own" / name, "precious");
    check_kept(runs.train("own", kSixSteps), runs / "own",
               {"is not empty: it holds ", std::string(name).substr(0, std::string(name).find('/')),
                "choose another --out"});
    fs::remove_all(runs / "own");
  }
}

TEST_CASE("folder: a backup of a run without its config.toml is left alone") {
  const TinyRuns runs;
  run_ok(runs.train("run", kSixSteps));
  fs::copy(runs / "run", runs / "backup", fs::copy_options::recursive);
  fs::remove(runs / "backup" / "config.toml");
  check_kept(runs.train("backup", kSixSteps), runs / "backup",
             {"is not empty: it holds checkpoints, metrics.jsonl, timing.jsonl", "--resume"});
  // It may well go on: its checkpoints say what it is.
  run_ok(runs.resume("backup", {"train.steps=8", kSixSteps[1], kSixSteps[2]}));
  CHECK(fs::exists(runs / "backup" / "config.toml"));
}

TEST_CASE("folder: an empty folder, one with a lock that nobody holds, and one that is absent") {
  const TinyRuns runs;
  fs::create_directories(runs / "empty");
  fs::create_directories(runs / "locked");
  write_text(runs / "locked" / ".lock", "");
  for (const char* name : {"empty", "locked", "deep/er/absent"}) {
    run_ok(runs.train(name, kSixSteps));
    CHECK_FALSE(fs::exists(runs / name / ".starting"));
  }
}

TEST_CASE("folder: --out . among other files is refused, and so is a name that leads elsewhere") {
  const TinyRuns runs;
  const fs::path here = fs::current_path();
  fs::create_directories(runs / "home/runs");
  write_text(runs / "home" / "config.toml", "precious");
  write_text(runs / "home" / "letter.txt", "precious");
  fs::current_path(runs / "home");
  check_kept({"train", runs.config(), "--out", "."}, runs / "home", {"choose another --out"});
  for (const char* name : {"..", ".", "a/b", "/x", "../x"}) {
    CAPTURE(name);
    check_kept({"train", runs.config(), "--set", message("run.name=\"", name, "\"")}, runs / "home",
               {message("run.name is \"", name, "\""), "--out names any other folder"});
  }
  check_kept({"train", runs.config(), "--set", "run.name=\"\""}, runs / "home", {"run.name is"});
  fs::current_path(here);
}

// What a start that was killed leaves: see also the tests of faults, which kill it at each call.
TEST_CASE("folder: what somebody put into the folder of an interrupted start stops the next one") {
  const TinyRuns runs;
  fs::create_directories(runs / "own" / "checkpoints" / "step_000000000");
  write_text(runs / "own" / ".starting", "");
  write_text(runs / "own" / ".lock", "");
  write_text(runs / "own" / "metrics.jsonl", "");
  for (const char* name :
       {"notes.txt", "metrics.jsonl", "checkpoints/step_000000002/state.json", "checkpoints/best",
        "checkpoints/step_000000000/notes.txt", "config.toml.tmp-old"}) {
    CAPTURE(name);
    fs::create_directories((runs / "own" / name).parent_path());
    write_text(runs / "own" / name, "precious");
    check_kept(runs.train("own", kSixSteps), runs / "own", {"is not empty: it holds "});
    if (name == std::string("metrics.jsonl")) {
      write_text(runs / "own" / name, "");
    } else {
      fs::remove(runs / "own" / name);
      if (std::string(name).find("000002") != std::string::npos) {
        fs::remove(runs / "own" / "checkpoints" / "step_000000002");
      }
    }
  }
  run_ok(runs.train("own", kSixSteps));
  CHECK_FALSE(fs::exists(runs / "own" / ".starting"));
}

TEST_CASE("folder: a run removes no checkpoint that is not called and made as its own") {
  const TinyRuns runs;
  run_ok(runs.train("run", kSixSteps));
  const fs::path checkpoints = runs / "run" / "checkpoints";
  const fs::path mine = latest_checkpoint(runs / "run");
  const auto copy = [&](const fs::path& to) {
    fs::copy(mine, to, fs::copy_options::recursive);
    return to;
  };
  // Called like one without being one; a copy under another name; one with a note in it; a link.
  std::vector<fs::path> kept = {
      copy(checkpoints / "step_000000002_backup"), copy(checkpoints / "step_2"),
      copy(checkpoints / "step_000000001"),        checkpoints / "step_000000003",
      copy(checkpoints / ".unfinished_mine"),      copy(runs / "elsewhere")};
  write_text(checkpoints / "step_000000001" / "notes.txt", "precious");
  fs::create_directories(checkpoints / "step_000000003");
  write_text(checkpoints / "step_000000003" / "letter.txt", "precious");
  fs::create_directory_symlink(runs / "elsewhere", checkpoints / "step_000000005");
  std::vector<decltype(snapshot(mine))> before;
  for (const fs::path& folder : kept) before.push_back(snapshot(folder));
  run_ok(runs.resume("run", {"train.steps=20", kSixSteps[1], kSixSteps[2], "train.keep_last=1"}));
  for (std::size_t i = 0; i < kept.size(); ++i) {
    CAPTURE(kept[i].string());
    CHECK(snapshot(kept[i]) == before[i]);
  }
  CHECK(fs::is_symlink(checkpoints / "step_000000005"));
  CHECK_FALSE(fs::exists(mine));  // its own, and not among those to keep
}

TEST_CASE(
    "folder: what stands where a resumed run will write is an error before anything changes") {
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=6", "train.checkpoint_every=2", "train.keep_last=100"}));
  const fs::path checkpoints = runs / "run" / "checkpoints";
  for (const char* name : {"step_000000004/notes.txt", ".unfinished_step_000000004/notes.txt"}) {
    fs::create_directories((checkpoints / name).parent_path());
    write_text(checkpoints / name, "precious");
    check_kept(
        runs.train("run", {"train.steps=6", "train.checkpoint_every=2", "train.keep_last=100"},
                   {"--resume=" + (checkpoints / "step_000000002").string()}),
        runs / "run", {(checkpoints / name).string(), "move it away"});
    fs::remove(checkpoints / name);
  }
}

// Temporaries of a killed process are removed, and nothing that only resembles them.
TEST_CASE("folder: leftovers of a killed process go when the run is resumed") {
  const TinyRuns runs;
  run_ok(runs.train("run", kSixSteps));
  const fs::path run = runs / "run";
  const std::vector<fs::path> left = {run / "config.toml.tmp-12",
                                      run / "checkpoints/latest.tmp-12-1",
                                      run / "checkpoints/best.tmp-7"};
  const std::vector<fs::path> others = {run / "config.toml.tmp", run / "config.toml.tmp-mine",
                                        run / "checkpoints/latest.old", run / "notes.tmp-12"};
  for (const fs::path& file : left) write_text(file, "half");
  for (const fs::path& file : others) write_text(file, "precious");
  fs::create_directories(run / "checkpoints/.unfinished_step_000000004");
  write_text(run / "checkpoints/.unfinished_step_000000004/model.safetensors.tmp-12", "half");
  run_ok(runs.resume("run", kSixSteps));
  for (const fs::path& file : left) CHECK_FALSE(fs::exists(file));
  for (const fs::path& file : others) CHECK(read_file(file) == "precious");
  CHECK_FALSE(fs::exists(run / "checkpoints/.unfinished_step_000000004"));
}

TEST_CASE("folder: of two starts at once one trains, and the other changes nothing") {
  const TinyRuns runs;
  for (int i = 0; i < 5; ++i) {
    const std::string name = message("run", i);
    Program first(runs.train(name, kSixSteps)), second(runs.train(name, kSixSteps));
    const Outcome a = first.wait(), b = second.wait();
    CAPTURE(a.err);
    CAPTURE(b.err);
    CHECK(std::min(a.code, b.code) == 0);
    CHECK(std::max(a.code, b.code) == 2);
    run_ok(runs.train("whole" + name, kSixSteps));
    CHECK(run_difference(runs / ("whole" + name), runs / name) == "");
  }
}

}  // namespace
}  // namespace tarn::test
