#include "train/reproduce/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "core/check.h"
#include "train/run/signals.h"

namespace tarn::train::reproduce {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {
    TARN_CHECK(value >= 0, "no file for a child process: ", std::generic_category().message(errno));
  }
  ~Descriptor() { ::close(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return value_; }

 private:
  int value_;
};

// Files in memory, not pipes: a child that reads late or writes much never waits for its parent.
Descriptor memory_file() { return Descriptor(::memfd_create("child", MFD_CLOEXEC)); }

void write_all(const Descriptor& file, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(file.get(), text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    TARN_CHECK(written > 0, "a child's input: ", std::generic_category().message(errno));
    done += static_cast<std::size_t>(written);
  }
  ::lseek(file.get(), 0, SEEK_SET);
}

// The file's content from a position on. The child writes at the file's own offset, which is not
// moved.
std::string content_of(const Descriptor& file, off_t from = 0) {
  std::string content;
  std::array<char, 1 << 16> buffer;
  ssize_t got = 0;
  while ((got = ::pread(file.get(), buffer.data(), buffer.size(),
                        from + static_cast<off_t>(content.size()))) > 0) {
    content.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return content;
}

// Shows the end of a file, whenever it has grown.
class Tail {
 public:
  Tail(const Descriptor& file, const Watch& watch) : file_(file), watch_(watch) {}

  void look() {
    constexpr off_t kEnd = 4096;
    struct stat state {};
    if (!watch_ || ::fstat(file_.get(), &state) != 0 || state.st_size == seen_) return;
    seen_ = state.st_size;
    watch_(content_of(file_, std::max<off_t>(0, seen_ - kEnd)));
  }

 private:
  const Descriptor& file_;
  const Watch& watch_;
  off_t seen_ = 0;
};

// The child's part of a fork. Other threads of the parent may have held locks, so that nothing is
// called here that takes one. `failure` is a pipe that exec closes; the reason goes through it
// where exec failed.
[[noreturn]] void become(char* const* argv, pid_t parent, int in, int out, int err, int failure) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == parent) {  // else the parent died before the child asked to die with it
    ::dup2(in, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    ::execvp(argv[0], argv);
  }
  const int error = errno;
  static_cast<void>(!::write(failure, &error, sizeof error));
  ::_exit(127);
}

int wait_for(pid_t child, Tail errors) {
  int status = 0;
  bool passed_on = false;
  pid_t ended = 0;
  while ((ended = ::waitpid(child, &status, WNOHANG)) == 0 || (ended < 0 && errno == EINTR)) {
    if (!passed_on && signal_received() != 0) passed_on = ::kill(child, SIGUSR1) == 0;
    errors.look();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  TARN_CHECK(ended == child, "a child process is lost: ", std::generic_category().message(errno));
  return status;
}

}  // namespace

ChildResult run_child(const std::vector<std::string>& argv, const std::string& input,
                      const Watch& watch) {
  std::vector<char*> words;
  words.reserve(argv.size() + 1);
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const Descriptor in = memory_file(), out = memory_file(), err = memory_file();
  write_all(in, input);
  std::array<int, 2> ends{-1, -1};
  static_cast<void>(!::pipe2(ends.data(), O_CLOEXEC));
  const Descriptor failure(ends[0]);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) become(words.data(), parent, in.get(), out.get(), err.get(), ends[1]);
  const int fork_error = errno;
  ::close(ends[1]);
  TARN_CHECK_AS(IoError, child > 0, "cannot run ", argv[0], ": ",
                std::generic_category().message(fork_error));
  int exec_error = 0;
  ssize_t got = 0;
  do {
    got = ::read(failure.get(), &exec_error, sizeof exec_error);
  } while (got < 0 && errno == EINTR);
  const int status = wait_for(child, {err, watch});
  TARN_CHECK_AS(IoError, got == 0, "cannot run ", argv[0], ": ",
                std::generic_category().message(exec_error));
  ChildResult result;
  if (WIFSIGNALED(status)) {
    result.signal = WTERMSIG(status);
  } else {
    result.exit_code = WEXITSTATUS(status);
  }
  result.output = content_of(out);
  result.errors = content_of(err);
  return result;
}

}  // namespace tarn::train::reproduce
