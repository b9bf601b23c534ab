// The state of something that takes long, on standard error: one line that is written over on a
// terminal, and a plain line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace tarn::train {

class StatusLine {
 public:
  StatusLine();
  ~StatusLine();  // the last state stays, and what is printed next has a line of its own
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  // Whether the last state is old enough to be followed by another.
  bool due() const;
  // The fields of a state, the most telling first. A terminal shows as many as its width holds.
  void show(const std::vector<std::string>& fields);
  void note(const std::string& text);  // a line of its own, which stays

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;      // one that can write over a line
  bool live_ = false;  // the cursor stands at the start of a state
  Clock::time_point last_shown_;
};

// The fields with two spaces between, as many of the first as fit into the width; a first one that
// does not fit is cut.
std::string fit_fields(const std::vector<std::string>& fields, std::size_t width);

std::string number_text(const char* format, double value);  // as printf has it
// As a person writes it: "0.043 s", "21 s", "3 min 20 s", "4 h 10 min", "42 days".
std::string duration_text(double seconds);

// "820 bytes", "3.4 MB", "12 GB", in powers of ten.
std::string size_text(std::uintmax_t bytes);

}  // namespace tarn::train
