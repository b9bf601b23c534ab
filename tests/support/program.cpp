#include "tests/support/program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <sstream>
#include <system_error>
#include <thread>

#include "core/check.h"
#include "core/io/file.h"
#include "tests/support/paths.h"

namespace tarn::test {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void pause_briefly() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

void check(int error, const char* what) {
  if (error != 0) throw std::system_error(error, std::generic_category(), what);
}

int memory_file() {
  const int file = memfd_create("output", MFD_CLOEXEC);
  check(file < 0 ? errno : 0, "memfd_create");
  return file;
}

std::string content_of(int file) {
  std::string content;
  std::array<char, 4096> buffer;
  ssize_t got = 0;
  while ((got = pread(file, buffer.data(), buffer.size(), static_cast<off_t>(content.size()))) >
         0) {
    content.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return content;
}

// This process's environment with some of it replaced.
std::vector<std::string> environment_with(Environment changes) {
  const auto given = [&](const std::string& name) {
    return std::any_of(changes.begin(), changes.end(),
                       [&](const auto& change) { return change.first == name; });
  };
  if (!given("OMP_NUM_THREADS")) changes.emplace_back("OMP_NUM_THREADS", "1");
  std::vector<std::string> all;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (!given(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : changes) {
    all.push_back(name);
    all.back().append("=").append(value);
  }
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

}  // namespace

Program::Program(Command command, const Environment& environment)
    : out_(memory_file()), err_(memory_file()), started_(now()) {
  std::vector<std::string> variables = environment_with(environment);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out_, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err_, STDERR_FILENO);
  const int error = posix_spawnp(&process_, command.words[0].c_str(), &actions, nullptr,
                                 pointers(command.words).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  check(error, command.words[0].c_str());
}

Program::Program(const Arguments& arguments, const Environment& environment)
    : Program(
          [&] {
            Command command{{program().string()}};
            command.words.insert(command.words.end(), arguments.begin(), arguments.end());
            return command;
          }(),
          environment) {}

Program Program::of_command(const std::vector<std::string>& command,
                            const Environment& environment) {
  return Program(Command{command}, environment);
}

Program::~Program() {
  if (!ended()) {
    send(SIGKILL);
    waitpid(process_, &status_, 0);
  }
  close(out_);
  close(err_);
}

void Program::send(int signal) const {
  if (!ended_) kill(process_, signal);
}

bool Program::handles(int signal) const {
  const std::string status = read_file(message("/proc/", process_, "/status"));
  const std::string key = "SigCgt:\t";
  const std::size_t at = status.find(key);
  if (at == std::string::npos) return false;  // it has ended
  return (std::stoull(status.substr(at + key.size()), nullptr, 16) >> (signal - 1) & 1U) != 0;
}

double Program::processor_seconds() const {
  // What follows the command's name, which stands in brackets, are fields 3 and on; 14 and 15 are
  // the ticks in the program and in the system.
  const std::string stat = read_file(message("/proc/", process_, "/stat"));
  std::istringstream fields(stat.substr(stat.rfind(')') + 1));
  double ticks = 0;
  std::string field;
  for (int i = 3; i <= 15 && fields >> field; ++i) {
    if (i >= 14) ticks += std::stod(field);
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

bool Program::ended() {
  if (!ended_) ended_ = waitpid(process_, &status_, WNOHANG) == process_;
  return ended_;
}

double Program::seconds() const { return now() - started_; }

bool Program::wait_for(const std::string& text, double limit_seconds) {
  const double limit = now() + limit_seconds;
  while (content_of(err_).find(text) == std::string::npos) {
    if (ended() || now() > limit) return content_of(err_).find(text) != std::string::npos;
    pause_briefly();
  }
  return true;
}

Outcome Program::wait(double limit_seconds) {
  const double limit = now() + limit_seconds;
  while (!ended()) {
    if (now() > limit) send(SIGKILL);
    pause_briefly();
  }
  Outcome outcome;
  outcome.seconds = seconds();
  outcome.out = content_of(out_);
  outcome.err = content_of(err_);
  if (WIFSIGNALED(status_)) {
    outcome.signal = WTERMSIG(status_);
  } else {
    outcome.code = WEXITSTATUS(status_);
  }
  return outcome;
}

Outcome run_program(const Arguments& arguments, const Environment& environment) {
  return Program(arguments, environment).wait();
}

Outcome run_and_kill(const Arguments& arguments, double seconds, const Environment& environment) {
  return Program(arguments, environment).wait(seconds);
}

Outcome run_script(const std::string& script, const Environment& environment) {
  Environment variables = environment;
  variables.emplace_back("TARN", program());
  return Program::of_command({"bash", "-c", script}, variables).wait();
}

std::filesystem::path fast_directory() {
  const char* memory = "/dev/shm";
  return access(memory, W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

}  // namespace tarn::test
