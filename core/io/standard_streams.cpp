#include "core/io/standard_streams.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace tarn {
namespace {

bool reader_is_gone() {
  pollfd output{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

}  // namespace

void open_standard_streams() {
  // In this order the lowest free descriptor is the one wanted. For reading only: a write to it
  // fails, as it would to the closed one.
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) >= 0) continue;
    if (open("/dev/null", O_RDONLY) != descriptor) fail<Error>("cannot open /dev/null");
  }
  std::signal(SIGPIPE, SIG_IGN);
}

void flush_standard_output() {
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0;
  const int error = errno;
  if (flushed && std::ferror(stdout) == 0) return;
  if (error == EPIPE || reader_is_gone()) throw ReaderGone("nobody reads standard output");
  fail<Error>("cannot write standard output: ",
              error != 0 ? std::strerror(error) : "some of it was lost");
}

}  // namespace tarn
