#include "core/io/file_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/check.h"

namespace tarn {
namespace {

// The whole file, of an open file description: as flock() locks it, but the system can be asked who
// would be in the way (F_OFD_GETLK).
struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& file)
    : descriptor_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  TARN_CHECK_AS(IoError, descriptor_ >= 0, "cannot open ", file.string(), ": ",
                std::strerror(errno));
  struct flock lock = whole_file();
  if (::fcntl(descriptor_, F_OFD_SETLK, &lock) == 0) return;
  const int error = errno;
  ::close(descriptor_);
  TARN_CHECK_AS(IoError, error == EAGAIN || error == EACCES, "cannot lock ", file.string(), ": ",
                std::strerror(error));
  fail<IoError>(file.parent_path().string(), " is in use: another process is training there");
}

FileLock::~FileLock() { ::close(descriptor_); }

bool FileLock::held(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0 && errno == ENOENT) return false;
  TARN_CHECK_AS(IoError, descriptor >= 0, "cannot open ", file.string(), ": ",
                std::strerror(errno));
  struct flock lock = whole_file();
  const int error = ::fcntl(descriptor, F_OFD_GETLK, &lock) == 0 ? 0 : errno;
  ::close(descriptor);
  TARN_CHECK_AS(IoError, error == 0, "cannot ask for the lock of ", file.string(), ": ",
                std::strerror(error));
  return lock.l_type != F_UNLCK;
}

}  // namespace tarn
