#include "kernels/cpu/cpu_quota.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "core/io/file.h"

namespace tarn::kernels::cpu {
namespace {

namespace fs = std::filesystem;

// A hierarchy of control groups that limits processors.
struct Hierarchy {
  bool unified = false;          // cgroups version 2
  fs::path mounted_at, mounted;  // a folder, and which group it shows
};

// The words of each line of a file; none if there is no such file.
std::vector<std::vector<std::string>> words_of(const fs::path& file) {
  std::vector<std::vector<std::string>> lines;
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return lines;
  std::istringstream text(read_file(file));
  for (std::string line; std::getline(text, line);) {
    std::istringstream words(line);
    auto& all = lines.emplace_back();
    for (std::string word; words >> word;) all.push_back(word);
  }
  return lines;
}

bool lists(const std::string& commas, const std::string& name) {
  return ("," + commas + ",").find("," + name + ",") != std::string::npos;
}

// From lines such as "36 35 98:0 /group /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct".
std::vector<Hierarchy> hierarchies(const fs::path& proc) {
  std::vector<Hierarchy> all;
  for (const auto& line : words_of(proc / "mountinfo")) {
    const auto dash = std::find(line.begin(), line.end(), "-");
    if (line.end() - dash < 4 || dash - line.begin() < 5) continue;
    const bool unified = dash[1] == "cgroup2";
    if (unified || (dash[1] == "cgroup" && lists(dash[3], "cpu"))) {
      all.push_back({unified, line[4], line[3]});
    }
  }
  return all;
}

// The process's group, from lines "0::/group" (version 2) and "4:cpu,cpuacct:/group".
fs::path group_in(const Hierarchy& hierarchy, const fs::path& proc) {
  for (const auto& line : words_of(proc / "cgroup")) {
    if (line.empty()) continue;
    const std::size_t first = line[0].find(':'), second = line[0].find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line[0].substr(first + 1, second - first - 1);
    if (hierarchy.unified ? controllers.empty() : lists(controllers, "cpu")) {
      return line[0].substr(second + 1);
    }
  }
  return "/";
}

std::optional<double> number(const std::string& text) {
  std::istringstream in(text);
  double value = 0;
  if (in >> value && value > 0) return value;
  return std::nullopt;  // "max", "-1"
}

std::optional<double> quota_of(const fs::path& folder, bool unified) {
  std::string text, period;
  if (unified) {
    for (const auto& line : words_of(folder / "cpu.max")) {
      if (line.size() == 2) text = line[0], period = line[1];
    }
  } else {
    for (const auto& line : words_of(folder / "cpu.cfs_quota_us")) text = line.at(0);
    for (const auto& line : words_of(folder / "cpu.cfs_period_us")) period = line.at(0);
  }
  const auto microseconds = number(text), of = number(period);
  if (!microseconds || !of) return std::nullopt;
  return *microseconds / *of;
}

// The path of the process's group below the mounted group. A container may see the names of the
// whole hierarchy but only its own folders; then the mounted group does not contain the process's
// by name, and is taken for the process's own.
fs::path below_mount(const fs::path& group, const fs::path& mounted) {
  fs::path relative = group.lexically_relative(mounted);
  if (relative.empty() || *relative.begin() == ".." || relative == ".") return {};
  return relative;
}

}  // namespace

std::optional<double> cpu_quota(const fs::path& proc, const fs::path& root) {
  std::optional<double> least;
  for (const Hierarchy& hierarchy : hierarchies(proc)) {
    const fs::path top = root / hierarchy.mounted_at.relative_path();
    fs::path below = below_mount(group_in(hierarchy, proc), hierarchy.mounted);
    for (;; below = below.parent_path()) {
      const auto quota = quota_of(top / below, hierarchy.unified);
      if (quota && (!least || *quota < *least)) least = quota;
      if (below.empty()) break;
    }
  }
  return least;
}

}  // namespace tarn::kernels::cpu
