#include "train/run/status_line.h"

#include <unistd.h>

#include <cstdio>

namespace tarn::train {
namespace {

constexpr double kLiveSeconds = 0.1;  // between two states on a terminal
constexpr double kPlainSeconds = 10;  // and elsewhere

}  // namespace

StatusLine::StatusLine() : terminal_(isatty(STDERR_FILENO) == 1) {}

bool StatusLine::due() const {
  const double since = std::chrono::duration<double>(Clock::now() - last_shown_).count();
  return since >= (terminal_ ? kLiveSeconds : kPlainSeconds);
}

void StatusLine::show(const std::string& state) {
  last_shown_ = Clock::now();
  if (!terminal_) return note(state);
  std::fprintf(stderr, "\r\033[K%s", state.c_str());
  std::fflush(stderr);
  live_ = true;
}

void StatusLine::note(const std::string& text) {
  if (live_) std::fputs("\r\033[K", stderr);
  live_ = false;
  std::fprintf(stderr, "%s\n", text.c_str());
}

std::string number_text(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string duration_text(double seconds) {
  const auto s = static_cast<long long>(seconds + 0.5);
  char text[48];
  if (s >= 3600) {
    std::snprintf(text, sizeof text, "%lldh%02lldm", s / 3600, s / 60 % 60);
  } else {
    std::snprintf(text, sizeof text, "%lldm%02llds", s / 60, s % 60);
  }
  return text;
}

}  // namespace tarn::train
