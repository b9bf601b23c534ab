// The state of something that takes long, on standard error: one line that is written over on a
// terminal, and a plain line now and then elsewhere.
#pragma once

#include <chrono>
#include <string>

namespace tarn::train {

class StatusLine {
 public:
  StatusLine();

  // Whether the last state is old enough to be followed by another.
  bool due() const;
  void show(const std::string& state);
  void note(const std::string& text);  // a line of its own, which stays

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  bool live_ = false;  // the cursor stands behind a state
  Clock::time_point last_shown_;
};

std::string number_text(const char* format, double value);  // as printf has it
std::string duration_text(double seconds);                  // "1h05m", "3m20s"

}  // namespace tarn::train
