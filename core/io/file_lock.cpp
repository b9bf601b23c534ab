#include "core/io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/check.h"

namespace tarn {

FileLock::FileLock(const std::filesystem::path& file)
    : descriptor_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  TARN_CHECK_AS(IoError, descriptor_ >= 0, "cannot open ", file.string(), ": ",
                std::strerror(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  ::close(descriptor_);
  fail<IoError>(file.parent_path().string(), " is in use: another process is training there");
}

FileLock::~FileLock() { ::close(descriptor_); }

}  // namespace tarn
