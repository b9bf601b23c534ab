// Signals that ask a program to end, so that it can first save what it has.
#pragma once

#include <csignal>
#include <exception>
#include <string>
#include <vector>

#include "train/distributed/communicator.h"

namespace tarn::train {

// While one lives, these are noted instead of ending the process: SIGINT (Ctrl-C), SIGTERM, SIGHUP
// (the terminal was closed), and what batch systems send ahead of the end: SIGUSR1, SIGUSR2 and
// SIGXCPU. The second of SIGINT and SIGTERM ends the process at once; of the others any number may
// come, as the two SIGHUP of a closed terminal. A signal that the program was started to ignore, as
// by nohup, stays ignored.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  struct Before {
    int signal;
    struct sigaction action;
  };
  std::vector<Before> before_;
};

// The first that was noted, or 0.
int signal_received();

// "Ctrl-C", "SIGTERM (terminate)": for "stopped by ...".
std::string signal_name(int signal);

// The exit code of a program that a signal ended, as shells report it.
constexpr int signal_exit_code(int signal) { return 128 + signal; }

// Thrown between two batches to leave work that can be done again.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted by a signal"; }
};

// Throws Interrupted once a signal was noted.
void stop_if_signalled();

// The same, in all processes of a run, once a signal was noted in one of them: all have then noted
// one. What they do between two such questions is not left by one alone.
void stop_if_signalled(Communicator& ranks);

// From now on stop_if_signalled() does nothing: the processes of a run stop at the same step, on
// which they agree.
void leave_stopping_to_agreement();

}  // namespace tarn::train
