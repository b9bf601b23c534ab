#include "train/run/signals.h"

#include <csignal>

namespace tarn::train {
namespace {

volatile std::sig_atomic_t received = 0;

void note(int signal) {
  if (received != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  received = signal;
}

}  // namespace

void watch_signals() {
  struct sigaction action = {};
  action.sa_handler = note;
  // No SA_RESETHAND: the second signal must find the handler. The signal is not blocked while it is
  // handled, so that raise() takes effect there.
  action.sa_flags = SA_NODEFER | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int signal_received() { return received; }

}  // namespace tarn::train
