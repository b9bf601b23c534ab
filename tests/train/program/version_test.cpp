// One version, wherever a user meets it.
#include "core/build_info.h"
#include "tests/support/paths.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

TEST_CASE("version: the program, the manual page, the build and the changelog agree") {
  const std::string version = kVersion;
  CHECK(run_ok({"--version"}).out == "tarn " + version + "\n");
  CHECK(contains(run_ok({"man"}).out, "tarn " + version));
  CHECK(contains(read_file(source_dir() / "CMakeLists.txt"), "project(tarn VERSION " + version));
  const std::string changes = read_file(source_dir() / "CHANGELOG.md");
  const std::size_t first = changes.find("\n## ");
  CHECK(changes.substr(first, version.size() + 5) == "\n## " + version + "\n");
}

// Which of its modules a build has is seen beside it.
TEST_CASE("version: info says by what messages of processes and of devices go") {
  const auto has = [](const char* module) {
    return std::filesystem::exists(program().parent_path() / module);
  };
  const std::string text = run_ok({"info"}).out;
  CHECK(contains(text, has("tarn_mpi.so") ? "of processes: by MPI\n"
                                          : "of processes: none: this build has no MPI"));
  CHECK(contains(text, has("tarn_nccl.so") ? "of devices: by NCCL 2."
                                           : "of devices: by way of the hosts' memory, since NCCL: "
                                             "this build has no NCCL"));
}

TEST_CASE("version: a clone's program and checkpoints say which commit made them") {
  if (!std::filesystem::exists(source_dir() / ".git")) {
    MESSAGE("skipped: this source is not a clone");
    return;
  }
  CHECK(std::string(kGitCommit) != "unknown");
  CHECK(contains(run_ok({"info"}).out, kGitCommit));
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=1"}));
  CHECK(contains(read_file(latest_checkpoint(runs / "run") / "state.json"), kGitCommit));
}

}  // namespace
}  // namespace tarn::test
