// The tarn program as a child process: what it prints, how it ends, and signals on the way. The
// folders that it works in should be under fast_directory(), where syncing costs nothing.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace tarn::test {

using Arguments = std::vector<std::string>;
using Environment = std::vector<std::pair<std::string, std::string>>;

struct Outcome {
  int code = -1;   // -1 if a signal ended it
  int signal = 0;  // 0 if it ended by itself
  std::string out, err;
  double seconds = 0;
};

// Its standard input is empty. It has one thread unless OMP_NUM_THREADS is given: tests run beside
// other work, and threads that wait for each other on a busy processor take many times as long.
class Program {
 public:
  explicit Program(const Arguments& arguments, const Environment& environment = {});
  // Any command, found as a shell finds it.
  static Program of_command(const std::vector<std::string>& command,
                            const Environment& environment = {});
  ~Program();  // kills it if it still runs
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t id() const { return process_; }
  void send(int signal) const;
  bool handles(int signal) const;    // whether it has a handler for the signal by now
  double processor_seconds() const;  // that it has used so far; while it runs
  // Until standard error holds the text; false if it ended, or the limit passed, without it.
  bool wait_for(const std::string& text, double limit_seconds = 60);
  // Until it ends. After the limit it is killed, which shows as SIGKILL.
  Outcome wait(double limit_seconds = 120);

 private:
  struct Command {
    std::vector<std::string> words;
  };
  Program(Command command, const Environment& environment);
  bool ended();
  double seconds() const;

  pid_t process_ = -1;
  int out_ = -1, err_ = -1;  // files in memory, so that a child that prints much never waits
  int status_ = 0;
  bool ended_ = false;
  double started_ = 0;
};

// Runs it to its end; and for at most so long, then SIGKILL.
Outcome run_program(const Arguments& arguments, const Environment& environment = {});
Outcome run_and_kill(const Arguments& arguments, double seconds,
                     const Environment& environment = {});

// A script of bash in which "$TARN" is the program: for redirections, pipes and what else is a
// shell's.
Outcome run_script(const std::string& script, const Environment& environment = {});

// A file system in memory where there is one, else the place for temporary files.
std::filesystem::path fast_directory();

}  // namespace tarn::test
