#include "train/reproduce/child_process.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "core/check.h"
#include "core/io/file.h"
#include "tests/support/temp_dir.h"
#include "train/run/signals.h"

namespace tarn::train::reproduce {
namespace {

void pause_briefly() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

// Until the file has a line, which is the number of a process; at most ten seconds.
pid_t process_in(const std::filesystem::path& file) {
  for (int i = 0; i < 2000; ++i, pause_briefly()) {
    std::string line;
    if (std::ifstream in(file); std::getline(in, line) && !in.eof()) return std::stoi(line);
  }
  return 0;
}

TEST_CASE("run_child: input, output, errors and the exit code, whatever the child is") {
  const ChildResult all = run_child({"sh", "-c", "cat; echo \"$0\" >&2; exit 7", "a 'b' $c"}, "in");
  CHECK(all.exit_code == 7);
  CHECK(all.signal == 0);
  CHECK(all.output == "in");
  CHECK(all.errors == "a 'b' $c\n");
  CHECK(run_child({"cat"}).output.empty());
}

TEST_CASE("run_child: more than a pipe holds, in both directions") {
  std::string input(3'000'000, 'x');
  input[1'234'567] = 'y';
  CHECK(run_child({"cat"}, input).output == input);
  CHECK(run_child({"true"}, input).exit_code == 0);  // which reads none of it
}

TEST_CASE("run_child: a child that a signal ends says which") {
  const ChildResult killed = run_child({"sh", "-c", "echo before; kill -KILL $$"});
  CHECK(killed.signal == SIGKILL);
  CHECK(killed.exit_code == -1);
  CHECK(killed.output == "before\n");
}

TEST_CASE("run_child: a program that is not there is an error that names it") {
  CHECK_THROWS_WITH_AS(run_child({"/no/such/program"}),
                       "cannot run /no/such/program: No such file or directory", IoError);
  CHECK_THROWS_WITH_AS(run_child({"/etc/passwd"}), "cannot run /etc/passwd: Permission denied",
                       IoError);
}

TEST_CASE("run_child: a child does not outlive its parent") {
  const test::TempDir folder;
  const pid_t parent = fork();
  if (parent == 0) {
    run_child({"sh", "-c", "echo $$ >" + (folder / "child").string() + "; exec sleep 100"});
    _exit(0);
  }
  const pid_t child = process_in(folder / "child");
  REQUIRE(child > 0);
  CHECK(kill(child, 0) == 0);
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  // It may stay as a zombie where nobody collects orphans: what is left then has no memory.
  bool gone = false;
  const std::string statm = message("/proc/", child, "/statm");
  for (int i = 0; i < 1000 && !gone; ++i, pause_briefly()) {
    std::string size;
    gone = kill(child, 0) != 0 || !(std::ifstream(statm) >> size) || size == "0";
  }
  CHECK(gone);
}

// In a process of its own, since a noted signal stays noted.
TEST_CASE("run_child: a signal that is noted meanwhile is passed on, and asks to save") {
  const test::TempDir folder;
  const pid_t parent = fork();
  if (parent == 0) {
    const SignalWatch watch;
    const ChildResult result =
        run_child({"sh", "-c",
                   "trap 'echo saved; exit 3' USR1; echo $$ >" + (folder / "child").string() +
                       "; for i in $(seq 500); do sleep 0.01; done"});
    _exit(result.exit_code == 3 && result.output == "saved\n" ? 0 : 1);
  }
  REQUIRE(process_in(folder / "child") > 0);
  kill(parent, SIGTERM);
  int status = -1;
  waitpid(parent, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace tarn::train::reproduce
