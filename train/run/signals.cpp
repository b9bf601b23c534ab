#include "train/run/signals.h"

#include <array>

namespace tarn::train {
namespace {

struct Watched {
  int signal;
  const char* name;
};
constexpr std::array<Watched, 6> kWatched{{{SIGINT, "Ctrl-C"},
                                           {SIGTERM, "SIGTERM (terminate)"},
                                           {SIGHUP, "SIGHUP (terminal closed)"},
                                           {SIGUSR1, "SIGUSR1 (warning)"},
                                           {SIGUSR2, "SIGUSR2 (warning)"},
                                           {SIGXCPU, "SIGXCPU (limit of processor time)"}}};

volatile std::sig_atomic_t received = 0;
volatile std::sig_atomic_t demands = 0;  // SIGINT and SIGTERM so far
bool agreed = false;                     // when to stop is

void note(int signal) {
  if (signal == SIGINT || signal == SIGTERM) {
    if (demands != 0) {
      std::signal(signal, SIG_DFL);
      std::raise(signal);
    }
    demands = 1;
  }
  if (received == 0) received = signal;
}

}  // namespace

SignalWatch::SignalWatch() {
  struct sigaction action = {};
  action.sa_handler = note;
  // No SA_RESETHAND: the second signal must find the handler. The signal is not blocked while it is
  // handled, so that raise() takes effect there.
  action.sa_flags = SA_NODEFER | SA_RESTART;
  for (const Watched& watched : kWatched) {
    Before before{watched.signal, {}};
    sigaction(watched.signal, nullptr, &before.action);
    if (before.action.sa_handler == SIG_IGN) continue;
    sigaction(watched.signal, &action, nullptr);
    before_.push_back(before);
  }
}

SignalWatch::~SignalWatch() {
  for (const Before& before : before_) sigaction(before.signal, &before.action, nullptr);
}

int signal_received() { return received; }

std::string signal_name(int signal) {
  for (const Watched& watched : kWatched) {
    if (watched.signal == signal) return watched.name;
  }
  return "signal " + std::to_string(signal);
}

void stop_if_signalled() {
  if (received != 0 && !agreed) throw Interrupted();
}

void stop_if_signalled(Communicator& ranks) {
  if (ranks.alone()) return stop_if_signalled();
  leave_stopping_to_agreement();
  const auto signal = static_cast<int>(ranks.largest(received));
  if (signal == 0) return;
  if (received == 0) received = signal;
  throw Interrupted();
}

void leave_stopping_to_agreement() { agreed = true; }

}  // namespace tarn::train
