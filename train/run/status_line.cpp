#include "train/run/status_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "core/check.h"

namespace tarn::train {
namespace {

constexpr double kLiveSeconds = 0.1;  // between two updates on a terminal
constexpr double kPlainSeconds = 10;  // and elsewhere
constexpr std::size_t kUsualWidth = 80;

// Behind the cursor all is erased: a terminal that was made narrower may have broken the state that
// was there into several lines.
constexpr const char* kErase = "\033[J";
// While a state is written no line is broken, should the terminal be narrower than it was a moment
// ago.
constexpr const char* kNoBreak = "\033[?7l";
constexpr const char* kBreak = "\033[?7h";

bool can_write_over() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

// The width of the terminal now, in columns. Terminals that do not know it say 0.
std::size_t width_of_terminal() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  const long given = columns != nullptr ? std::strtol(columns, nullptr, 10) : 0;
  return given > 0 ? static_cast<std::size_t>(given) : kUsualWidth;
}

}  // namespace

StatusLine::StatusLine() : terminal_(can_write_over()) {}

StatusLine::~StatusLine() {
  if (live_) std::fputc('\n', stderr);
}

bool StatusLine::due() const {
  const double since = std::chrono::duration<double>(Clock::now() - last_shown_).count();
  return since >= (terminal_ ? kLiveSeconds : kPlainSeconds);
}

void StatusLine::show(const std::vector<std::string>& fields) {
  last_shown_ = Clock::now();
  if (!terminal_) return note(fit_fields(fields, std::string::npos));
  const std::string line = fit_fields(fields, width_of_terminal() - 1);
  // The cursor is left at the start, where a terminal that breaks the line anew leaves it too.
  std::fprintf(stderr, "%s%s%s%s\r", kNoBreak, line.c_str(), kErase, kBreak);
  std::fflush(stderr);
  live_ = true;
}

void StatusLine::note(const std::string& text) {
  if (live_) std::fputs(kErase, stderr);
  live_ = false;
  std::fprintf(stderr, "%s\n", text.c_str());
}

std::string fit_fields(const std::vector<std::string>& fields, std::size_t width) {
  std::string line;
  for (const std::string& field : fields) {
    const std::string more = message(line.empty() ? "" : "  ", field);
    if (line.size() + more.size() > width) return line.empty() ? more.substr(0, width) : line;
    line += more;
  }
  return line;
}

std::string number_text(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string duration_text(double seconds) {
  constexpr double kMinute = 60, kHour = 3600, kDay = 86400;
  if (!(seconds >= 9.95)) return number_text("%.2g s", seconds);
  // A number below ten of a unit is shown with the next smaller unit.
  const double precision = seconds < 10 * kMinute ? 1
                           : seconds < 10 * kHour ? kMinute
                           : seconds < 10 * kDay  ? kHour
                                                  : kDay;
  double left = std::round(seconds / precision) * precision;
  struct Unit {
    double seconds;
    const char* name;
  };
  constexpr std::array<Unit, 4> kUnits{{{kDay, "day"}, {kHour, "h"}, {kMinute, "min"}, {1, "s"}}};
  std::string text;
  for (const Unit& unit : kUnits) {
    const double count = std::floor(left / unit.seconds);
    if (count == 0) continue;
    left -= count * unit.seconds;
    text += message(text.empty() ? "" : " ", count, " ", unit.name);
    if (unit.seconds == kDay && count > 1) text += "s";
  }
  return text;
}

std::string size_text(std::uintmax_t bytes) {
  if (bytes < 1000) return message(bytes, " bytes");
  constexpr std::array<const char*, 4> kUnits{"kB", "MB", "GB", "TB"};
  auto size = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  for (; size >= 999.5 && unit + 1 < kUnits.size(); ++unit) size /= 1000;
  return message(number_text(size < 9.95 ? "%.1f" : "%.0f", size), " ", kUnits[unit]);
}

}  // namespace tarn::train
