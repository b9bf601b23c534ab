// Other programs as child processes: gnuplot, and tarn itself.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace tarn::train::reproduce {

struct ChildResult {
  int exit_code = -1;          // -1 if a signal ended it
  int signal = 0;              // 0 if it ended by itself
  std::string output, errors;  // what it wrote to standard output and standard error
};

// Runs a program, found as a shell finds it but without a shell, and waits for its end; input is
// its standard input. It dies with this thread, however that ends. A signal that a SignalWatch
// noted meanwhile is passed on once, as SIGUSR1: that asks a training run to save and end, and does
// not count as its second Ctrl-C if the terminal has sent it the first. IoError if it cannot be
// started. `watch` is called while it runs, with the end of what it has written to standard
// error, when that has grown.
using Watch = std::function<void(const std::string& errors)>;
ChildResult run_child(const std::vector<std::string>& argv, const std::string& input = "",
                      const Watch& watch = {});

}  // namespace tarn::train::reproduce
