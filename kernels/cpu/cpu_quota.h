// The share of the processors that a control group (Linux's cgroups, which containers and service
// managers use) grants to this process.
#pragma once

#include <filesystem>
#include <optional>

namespace tarn::kernels::cpu {

// The processors' time in a second that the process may use, in processors: 1.5, say. The least of
// its group and those above it; nothing if none has a limit. Reads the files of both versions of
// cgroups: of proc, "/proc/self" unless it is a test, the files cgroup and mountinfo. The paths in
// them are below `root`.
std::optional<double> cpu_quota(const std::filesystem::path& proc = "/proc/self",
                                const std::filesystem::path& root = "/");

}  // namespace tarn::kernels::cpu
