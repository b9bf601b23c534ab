// What files hold after a full disk, a failing one, or a kill at each change that a function makes.
// The test program runs itself with the fault injector preloaded; the child's part is the test case
// that is skipped otherwise.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <regex>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/io/file.h"
#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace tarn {
namespace {

namespace fs = std::filesystem;

constexpr int kFailedCleanly = 7;  // the child's status when it met an IoError that names a file
const std::string kOld(3000, 'o');
const std::string kNew(5000, 'n');

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void act(const std::string& action, const fs::path& dir) {
  if (action == "replace") return write_file_atomically(dir / "f", kNew);
  if (action == "write") {
    const std::vector<std::string_view> parts = {kNew, kNew};
    return write_file(dir / "f", parts);
  }
  if (action == "append") {
    AppendFile log(dir / "f", static_cast<std::int64_t>(kOld.size()) - 1000);
    log.append(kNew);
    return log.sync();
  }
  make_directories(dir / "new" / "part");
  const std::string_view part = kNew;
  write_file(dir / "new" / "part" / "a", {&part, 1});
  write_file(dir / "new" / "part" / "b", {&part, 1});
  publish_directory(dir / "new" / "part", dir / "new" / "done");
}

TEST_CASE("file: the child of the fault tests" * doctest::skip()) {
  const fs::path dir = variable("TARN_FAULT_DIR");
  try {
    act(variable("TARN_TEST_ACTION"), dir);
  } catch (const IoError& error) {
    const std::string text = error.what();
    const bool named = text.starts_with("cannot ") && text.find(dir.string()) != text.npos;
    std::exit(named ? kFailedCleanly : 1);
  }
}

struct Outcome {
  bool killed = false;
  int status = 0;
};

// Runs an action in a child; fault 0 strikes never and counts the calls. The files are outside of
// the directory: one takes the number of calls, the other what the injector says.
Outcome run_child(const std::string& action, const fs::path& dir, const char* kind, int fault,
                  const fs::path& count_file = {}, const fs::path& report_file = "/dev/null") {
  const pid_t child = fork();
  if (child == 0) {
    setenv("LD_PRELOAD", test::fault_injector().c_str(), 1);
    setenv("TARN_TEST_ACTION", action.c_str(), 1);
    setenv("TARN_FAULT_DIR", dir.c_str(), 1);
    setenv("TARN_FAULT_KIND", kind, 1);
    setenv("TARN_FAULT_AT", std::to_string(fault).c_str(), 1);
    if (!count_file.empty()) setenv("TARN_FAULT_COUNT_FILE", count_file.c_str(), 1);
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDOUT_FILENO);
    dup2(open(report_file.c_str(), O_WRONLY | O_CREAT, 0666), STDERR_FILENO);
    execl("/proc/self/exe", "child", "--no-skip", "--test-case=file: the child of the fault tests",
          nullptr);
    _exit(127);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return {WIFSIGNALED(status), WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)};
}

int count_calls(const std::string& action) {
  const test::TempDir dir;
  fs::create_directory(dir / "w");
  write_file_atomically(dir / "w" / "f", kOld);
  const Outcome outcome = run_child(action, dir / "w", "kill", 0, dir / "count");
  REQUIRE(outcome.status == 0);
  return std::stoi(read_file(dir / "count"));
}

// The calls of an action in their order, each with the path that it changes: "write f.tmp".
std::vector<std::string> calls_of(const std::string& action) {
  const test::TempDir dir;
  fs::create_directory(dir / "w");
  write_file_atomically(dir / "w" / "f", kOld);
  REQUIRE(run_child(action, dir / "w", "trace", 1, {}, dir / "report").status == 0);
  const std::string report = read_file(dir / "report");
  const std::regex line("at call [0-9]+: ([a-z]+)[0-9]* " + (dir / "w").string() + "/?(\\S*)\n");
  std::vector<std::string> calls;
  for (std::sregex_iterator at(report.begin(), report.end(), line), end; at != end; ++at) {
    const std::string path =
        std::regex_replace((*at)[2].str(), std::regex("\\.tmp-[0-9]+"), ".tmp");
    calls.push_back((*at)[1].str() + " " + (path.empty() ? "." : path));
  }
  return calls;
}

bool has_temporary(const fs::path& dir) {
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    if (entry.path().filename().string().find(".tmp-") != std::string::npos) return true;
  }
  return false;
}

// Calls check(directory, outcome) after a fault of the kind at each call of the action.
template <class Check>
void at_each_call(const std::string& action, const char* kind, Check check) {
  const int calls = count_calls(action);
  REQUIRE(calls >= 4);
  for (int fault = 1; fault <= calls; ++fault) {
    CAPTURE(action);
    CAPTURE(kind);
    CAPTURE(fault);
    const test::TempDir dir;
    write_file_atomically(dir / "f", kOld);
    check(dir.path(), run_child(action, dir.path(), kind, fault));
  }
}

TEST_CASE("file: a kill at any point leaves the old file or the new") {
  for (const char* kind : {"kill", "tear"}) {
    for (const char* action : {"replace", "write"}) {
      at_each_call(action, kind, [&](const fs::path& dir, const Outcome& outcome) {
        CHECK(outcome.killed);
        const std::string held = read_file(dir / "f");
        CHECK((held == kOld || held == (action == std::string("write") ? kNew + kNew : kNew)));
      });
    }
  }
}

TEST_CASE("file: a disk that is full or fails leaves the old file and nothing else") {
  for (const char* kind : {"ENOSPC", "EIO"}) {
    for (const char* action : {"replace", "write"}) {
      at_each_call(action, kind, [](const fs::path& dir, const Outcome& outcome) {
        CHECK_FALSE(outcome.killed);
        CHECK(outcome.status == kFailedCleanly);
        // Only when syncing the directory fails has the new file its name already.
        const std::string held = read_file(dir / "f");
        CHECK((held == kOld || held == kNew));
        CHECK_FALSE(has_temporary(dir));
      });
    }
  }
}

// Without the syncs a file may lose its content, or its name, when the power goes.
TEST_CASE("file: content is on the disk before its name is, and the name before a call returns") {
  using Calls = std::vector<std::string>;
  CHECK(calls_of("replace") ==
        Calls{"open f.tmp", "write f.tmp", "fsync f.tmp", "rename f.tmp", "fsync ."});
  CHECK(calls_of("write") ==
        Calls{"open f.tmp", "write f.tmp", "write f.tmp", "fsync f.tmp", "rename f.tmp"});
  CHECK(calls_of("append") == Calls{"open f", "ftruncate f", "fsync .", "write f", "fsync f"});
  // write_file leaves the name to publish_directory, which syncs the directory before it is named.
  CHECK(calls_of("publish") == Calls{"mkdir new/part", "mkdir new", "fsync .", "mkdir new/part",
                                     "fsync new", "open new/part/a.tmp", "write new/part/a.tmp",
                                     "fsync new/part/a.tmp", "rename new/part/a.tmp",
                                     "open new/part/b.tmp", "write new/part/b.tmp",
                                     "fsync new/part/b.tmp", "rename new/part/b.tmp",
                                     "fsync new/part", "rename new/part", "fsync new"});
}

TEST_CASE("file: signals and short writes are nobody's business") {
  for (const char* kind : {"EINTR", "short"}) {
    for (const char* action : {"replace", "write", "append", "publish"}) {
      at_each_call(action, kind, [](const fs::path& dir, const Outcome& outcome) {
        CHECK_FALSE(outcome.killed);
        CHECK(outcome.status == 0);
        CHECK_FALSE(has_temporary(dir));
      });
    }
  }
}

TEST_CASE("file: a published directory is complete or absent") {
  for (const char* kind : {"kill", "tear", "ENOSPC", "EIO"}) {
    at_each_call("publish", kind, [](const fs::path& dir, const Outcome& outcome) {
      CHECK((outcome.killed || outcome.status == kFailedCleanly));
      const fs::path done = dir / "new" / "done";
      if (!fs::exists(done)) return;
      CHECK(read_file(done / "a") == kNew);
      CHECK(read_file(done / "b") == kNew);
    });
  }
}

TEST_CASE("file: a failed append leaves whole lines only") {
  for (const char* kind : {"ENOSPC", "EIO"}) {
    at_each_call("append", kind, [](const fs::path& dir, const Outcome& outcome) {
      CHECK(outcome.status == kFailedCleanly);
      const std::string held = read_file(dir / "f");
      const std::string kept = kOld.substr(1000);
      CHECK((held == kOld || held == kept || held == kept + kNew));
    });
  }
}

}  // namespace
}  // namespace tarn
