#include "kernels/cpu/cpu_quota.h"

#include <doctest/doctest.h>

#include "core/io/file.h"
#include "tests/support/temp_dir.h"

namespace tarn::kernels::cpu {
namespace {

// The files of a system, below a folder.
class System {
 public:
  System(const std::string& mountinfo, const std::string& cgroup) {
    add("proc/mountinfo", mountinfo);
    add("proc/cgroup", cgroup);
  }

  void add(const std::string& file, const std::string& content) const {
    make_directories((folder_.path() / file).parent_path());
    write_file_atomically(folder_.path() / file, content);
  }

  std::optional<double> quota() const { return cpu_quota(folder_.path() / "proc", folder_.path()); }

 private:
  test::TempDir folder_;
};

const char* const kUnified =
    "25 30 0:23 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
    "26 30 0:24 / /proc rw - proc proc rw\n";

TEST_CASE("quota: the least of a group and those above it, version 2") {
  const System system(kUnified, "0::/user.slice/job\n");
  CHECK_FALSE(system.quota());
  system.add("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
  CHECK_FALSE(system.quota());
  system.add("sys/fs/cgroup/user.slice/job/cpu.max", "150000 100000\n");
  CHECK(system.quota() == 1.5);
  system.add("sys/fs/cgroup/user.slice/cpu.max", "25000 50000\n");
  CHECK(system.quota() == 0.5);
}

TEST_CASE("quota: a container whose group is the root of what it sees, version 2") {
  const System system(kUnified, "0::/\n");
  system.add("sys/fs/cgroup/cpu.max", "300000 100000\n");
  CHECK(system.quota() == 3);
}

TEST_CASE("quota: version 1, where the container sees its own folder under the host's name") {
  const System system(
      "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
      "33 31 0:30 /docker/7f /sys/fs/cgroup/cpu,cpuacct ro master:9 - cgroup cgroup "
      "rw,cpu,cpuacct\n"
      "34 31 0:31 /docker/7f /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n",
      "5:cpuset:/docker/7f\n4:cpu,cpuacct:/docker/7f\n0::/\n");
  system.add("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  system.add("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  CHECK_FALSE(system.quota());
  system.add("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n");
  CHECK(system.quota() == 2);
}

TEST_CASE("quota: no control groups, or files that are cut short, are no limit") {
  CHECK_FALSE(System("", "").quota());
  const System system("25 30 0:23 / /sys/fs/cgroup rw - cgroup2\n33\n" + std::string(kUnified),
                      "\nnonsense\n0::/job\n");
  system.add("sys/fs/cgroup/job/cpu.max", "\n");
  CHECK_FALSE(system.quota());
}

}  // namespace
}  // namespace tarn::kernels::cpu
