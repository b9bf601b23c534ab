#include "core/io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "core/check.h"

namespace tarn {
namespace {

using std::filesystem::path;

[[noreturn]] void fail_system(int error, const char* operation, const path& file) {
  fail<IoError>("cannot ", operation, " ", file.string(), ": ",
                std::generic_category().message(error));
}

// A system call again for as long as signals interrupt it.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// An open file; `file` is the name that messages use, which for a temporary is the final one.
class Descriptor {
 public:
  Descriptor(const path& opened, int flags, const char* operation, const path& file)
      : value_(uninterrupted([&] { return ::open(opened.c_str(), flags | O_CLOEXEC, 0666); })) {
    if (value_ < 0) fail_system(errno, operation, file);
  }
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

struct stat status_of(int descriptor, const path& file) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail_system(errno, "examine", file);
  return status;
}

std::size_t read_some(int descriptor, char* buffer, std::size_t bytes, const path& file) {
  const ssize_t got = uninterrupted([&] { return ::read(descriptor, buffer, bytes); });
  if (got < 0) fail_system(errno, "read", file);
  return static_cast<std::size_t>(got);
}

void write_all(int descriptor, std::string_view bytes, const path& file) {
  while (!bytes.empty()) {
    const ssize_t written =
        uninterrupted([&] { return ::write(descriptor, bytes.data(), bytes.size()); });
    // A write of nothing is no error to the system, but trying it again might never end.
    if (written <= 0) fail_system(written < 0 ? errno : ENOSPC, "write", file);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void sync_descriptor(int descriptor, const path& file) {
  if (uninterrupted([&] { return ::fsync(descriptor); }) != 0) fail_system(errno, "sync", file);
}

// The directory that holds the name; "a/b/" is a name in "a".
path parent_of(const path& file) {
  const path named = file.has_filename() ? file : file.parent_path();
  const path parent = named.parent_path();
  return parent.empty() ? path(".") : parent;
}

void sync_directory(const path& directory) {
  const Descriptor open(directory, O_RDONLY | O_DIRECTORY, "open", directory);
  if (uninterrupted([&] { return ::fsync(open.get()); }) == 0) return;
  if (errno != EINVAL) fail_system(errno, "sync", directory);  // EINVAL: a file system without it
}

// Renaming over /dev/null would put a plain file in its place.
void check_replaceable(const path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return;  // absent; other troubles show when it is opened
  if (S_ISDIR(status.st_mode)) fail_system(EISDIR, "write", file);
  TARN_CHECK_AS(IoError, S_ISREG(status.st_mode), "cannot write ", file.string(),
                ": it is not a regular file");
}

constexpr std::string_view kTemporary = ".tmp-";

// The first name of a temporary that nothing has. A process of the same number, killed earlier or
// in another container, may have the others.
path free_temporary_of(const path& file) {
  const std::string base = message(file.string(), kTemporary, ::getpid());
  path name = base;
  struct stat status {};
  for (int i = 1; ::lstat(name.c_str(), &status) == 0; ++i) name = message(base, "-", i);
  return name;
}

// Several processes may write the same file: each has its own temporary, and the last rename wins.
void replace_file(const path& file, std::span<const std::string_view> parts) {
  check_replaceable(file);
  const path temporary = free_temporary_of(file);
  Descriptor out(temporary, O_WRONLY | O_CREAT | O_EXCL, "create", file);
  try {
    for (const std::string_view part : parts) write_all(out.get(), part, file);
    sync_descriptor(out.get(), file);
    // Some network file systems report a failed write only here. Never repeated: the number is
    // gone.
    if (::close(out.release()) != 0 && errno != EINTR) fail_system(errno, "write", file);
    if (::rename(temporary.c_str(), file.c_str()) != 0) fail_system(errno, "replace", file);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void truncate_to(int descriptor, std::int64_t bytes, const path& file) {
  if (uninterrupted([&] { return ::ftruncate(descriptor, bytes); }) != 0) {
    fail_system(errno, "truncate", file);
  }
}

}  // namespace

std::string read_file(const path& file) {
  const Descriptor in(file, O_RDONLY, "open", file);
  // One byte more than the file has, so that its end shows in the first read that finds nothing.
  std::string content(static_cast<std::size_t>(status_of(in.get(), file).st_size) + 1, '\0');
  std::size_t used = 0;
  while (const std::size_t got =
             read_some(in.get(), content.data() + used, content.size() - used, file)) {
    used += got;
    // Pipes and /proc say that they hold nothing.
    if (used == content.size()) content.resize(2 * used + 4096);
  }
  content.resize(used);
  return content;
}

void write_file(const path& file, std::span<const std::string_view> parts) {
  replace_file(file, parts);
}

void write_file_atomically(const path& file, std::string_view content) {
  replace_file(file, {&content, 1});
  sync_directory(parent_of(file));
}

void check_can_write(const path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) fail_system(EISDIR, "write", file);
  } else if (errno != ENOENT) {
    fail_system(errno, "write", file);
  }
  if (::access(parent_of(file).c_str(), W_OK | X_OK) != 0) fail_system(errno, "write", file);
}

bool is_temporary_of(std::string_view file_name, std::string_view name) {
  if (!name.starts_with(file_name)) return false;
  name.remove_prefix(file_name.size());
  if (!name.starts_with(kTemporary)) return false;
  name.remove_prefix(kTemporary.size());
  return !name.empty() && name.find_first_not_of("0123456789-") == name.npos;
}

void remove_temporaries_of(const path& file) {
  const std::string file_name = file.filename().string();
  for (const auto& entry : std::filesystem::directory_iterator(parent_of(file))) {
    if (is_temporary_of(file_name, entry.path().filename().string())) remove_file(entry.path());
  }
}

void remove_file(const path& file) {
  if (::unlink(file.c_str()) != 0 && errno != ENOENT) fail_system(errno, "remove", file);
}

void publish_directory(const path& temporary, const path& final) {
  sync_directory(temporary);
  struct stat status {};
  // rename() would silently replace an empty directory.
  if (::lstat(final.c_str(), &status) == 0) fail_system(EEXIST, "publish", final);
  if (errno != ENOENT) fail_system(errno, "publish", final);
  if (::rename(temporary.c_str(), final.c_str()) != 0) fail_system(errno, "publish", final);
  sync_directory(parent_of(final));
}

void make_directories(const path& directory) {
  if (directory.empty()) return;
  int made = ::mkdir(directory.c_str(), 0777);
  if (made != 0 && errno == ENOENT && parent_of(directory) != directory) {
    make_directories(parent_of(directory));
    made = ::mkdir(directory.c_str(), 0777);
  }
  if (made == 0) return sync_directory(parent_of(directory));
  const int error = errno;
  struct stat status {};
  const bool there = ::stat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  if (!there) fail_system(error, "create the directory", directory);
}

std::uint32_t crc32_of(std::string_view bytes) {
  const auto* data = reinterpret_cast<const Bytef*>(bytes.data());
  return static_cast<std::uint32_t>(::crc32_z(::crc32(0, nullptr, 0), data, bytes.size()));
}

std::uint32_t crc32_of_file(const path& file) { return crc32_of_file(InputFile(file)); }

std::uint32_t crc32_of_file(const InputFile& in) {
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  uLong crc = ::crc32(0, nullptr, 0);
  for (std::int64_t position = 0; position < in.size();) {
    const auto left = static_cast<std::size_t>(in.size() - position);
    const std::span<std::byte> chunk(buffer.data(), std::min(buffer.size(), left));
    in.read(position, chunk);
    crc = ::crc32_z(crc, reinterpret_cast<const Bytef*>(chunk.data()), chunk.size());
    position += static_cast<std::int64_t>(chunk.size());
  }
  return static_cast<std::uint32_t>(crc);
}

InputFile::InputFile(const std::filesystem::path& file) : file_(file) {
  Descriptor in(file, O_RDONLY, "open", file);
  const struct stat status = status_of(in.get(), file);
  if (S_ISDIR(status.st_mode)) fail_system(EISDIR, "read", file);
  TARN_CHECK_AS(IoError, S_ISREG(status.st_mode), "cannot read ", file.string(),
                ": it is not a regular file");
  size_ = status.st_size;
  descriptor_ = in.release();
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : file_(std::move(other.file_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

void InputFile::read(std::int64_t position, std::span<std::byte> buffer) const {
  constexpr std::size_t kChunk = std::size_t{64} << 20;  // one call never moves more than 2 GiB
  while (!buffer.empty()) {
    const std::size_t count = std::min(buffer.size(), kChunk);
    const ssize_t got =
        uninterrupted([&] { return ::pread(descriptor_, buffer.data(), count, position); });
    if (got < 0) fail_system(errno, "read", file_);
    TARN_CHECK_AS(IoError, got > 0, "cannot read ", file_.string(), ": it ends at byte ", position,
                  ", and ", buffer.size(), " more were expected");
    buffer = buffer.subspan(static_cast<std::size_t>(got));
    position += got;
  }
}

AppendFile::AppendFile(const std::filesystem::path& file, std::int64_t keep_bytes)
    : file_(file), size_(keep_bytes) {
  const int create = keep_bytes == 0 ? O_CREAT : 0;
  Descriptor out(file, O_WRONLY | O_APPEND | create, "open", file);
  const std::int64_t held = status_of(out.get(), file).st_size;
  TARN_CHECK_AS(IoError, keep_bytes >= 0 && held >= keep_bytes, "cannot continue ", file.string(),
                ": it holds ", held, " bytes, and the first ", keep_bytes, " are to be kept");
  if (held > keep_bytes) truncate_to(out.get(), keep_bytes, file);
  sync_directory(parent_of(file));
  descriptor_ = out.release();
}

AppendFile::~AppendFile() { ::close(descriptor_); }

void AppendFile::append(std::string_view text) {
  try {
    write_all(descriptor_, text, file_);
  } catch (const IoError&) {
    // Half a line would spoil the lines after it. The first failure is the one worth telling.
    [[maybe_unused]] const int cut = ::ftruncate(descriptor_, size_);
    throw;
  }
  size_ += static_cast<std::int64_t>(text.size());
}

void AppendFile::sync() { sync_descriptor(descriptor_, file_); }

}  // namespace tarn
