#include "tests/emulator/faults.h"

#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <tuple>

#include "tests/emulator/block.h"
#include "tests/emulator/stream.h"

namespace emulator {
namespace {

constexpr std::size_t kKept = 100;

struct Log {
  std::vector<Fault> faults;
  std::set<std::tuple<std::string, FaultKind, const void*>> seen;
  std::uint64_t count = 0;
};

Log& log() {
  static Log log;
  return log;
}

// What a command prints on its first line.
std::string first_line_of(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  char line[1024] = "";
  if (std::fgets(line, sizeof line, pipe) == nullptr) line[0] = '\0';
  pclose(pipe);
  const std::string text(line);
  return text.substr(0, text.find_last_not_of('\n') + 1);
}

// binutils has a program for it, which is there wherever a compiler is. The return address lies
// behind the call, hence the one byte back.
std::string looked_up_line(const void* code) {
  Dl_info info{};
  const auto address = reinterpret_cast<std::uintptr_t>(code) - 1;
  if (dladdr(code, &info) == 0 || info.dli_fname == nullptr) return text_of("%p", code);
  const auto offset = address - reinterpret_cast<std::uintptr_t>(info.dli_fbase);
  for (const std::uintptr_t candidate : {offset, address}) {  // position-independent programs first
    const std::string line =
        first_line_of(text_of("addr2line -e '%s' 0x%zx 2>/dev/null", info.dli_fname, candidate));
    if (!line.empty() && line[0] != '?') return line.substr(0, line.find(' '));
  }
  return text_of("%p", code);
}

}  // namespace

Settings& settings() {
  static Settings settings = [] {
    Settings first;
    if (const char* devices = std::getenv("EMULATED_DEVICES")) first.devices = std::atoi(devices);
    return first;
  }();
  return settings;
}

Counters& counters() {
  static Counters counters;
  return counters;
}

const std::vector<Fault>& faults() { return log().faults; }
std::uint64_t fault_count() { return log().count; }
void clear_faults() { log() = {}; }

void report(FaultKind kind, const std::string& text, const void* site) {
  const Block* block = Block::running();
  const std::string kernel = block == nullptr ? "" : block->kernel_name();
  std::string line = block == nullptr ? "" : kernel + " " + block->position() + ": ";
  line += text;
  if (site != nullptr) line += " at " + source_line(site);
  report_in(kernel, kind, line, site);
}

void report_in(const std::string& kernel, FaultKind kind, const std::string& text,
               const void* site) {
  set_error(cudaErrorLaunchFailure);
  ++log().count;
  const bool first = log().seen.insert({kernel, kind, site}).second;
  if ((site != nullptr && !first) || log().faults.size() >= kKept) return;
  log().faults.push_back({kind, kernel, text});
}

std::string source_line(const void* code) {
  static std::map<const void*, std::string> known;  // a program's start for each is slow
  const auto [line, is_new] = known.try_emplace(code);
  if (is_new) line->second = looked_up_line(code);
  return line->second;
}

std::string text_of(const char* format, ...) {
  char text[1024];
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

}  // namespace emulator
