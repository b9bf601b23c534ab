// Files: read whole, written so that a reader sees the old content or the new, never a half.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace tarn {

// Every function here throws IoError, which names the file, what was tried and what the system
// said: "cannot write runs/x/model.safetensors: No space left on device".
std::string read_file(const std::filesystem::path& file);

// Creates or replaces the file with the parts one after another and syncs it to the disk. A failure
// leaves the old file as it was, and no other. The name is not synced, so a power cut may bring the
// old file back: for files inside a directory that is published when all are written.
void write_file(const std::filesystem::path& file, std::span<const std::string_view> parts);

// Replaces the file as a whole: a new temporary sibling, "<file>.tmp-<process>" or, where that name
// is taken, "<file>.tmp-<process>-<number>", is written, synced and renamed over it, and the name
// is synced too.
void write_file_atomically(const std::filesystem::path& file, std::string_view content);

// IoError unless a file of this name could be made or replaced now: asked before long work whose
// result it is to hold.
void check_can_write(const std::filesystem::path& file);

// Whether a name is that of such a temporary of the file of the other name. A process that is
// killed leaves it behind.
bool is_temporary_of(std::string_view file_name, std::string_view name);
// Removes what killed processes left of the file. Only for files that no other process writes now.
void remove_temporaries_of(const std::filesystem::path& file);

void remove_file(const std::filesystem::path& file);  // no error if it is absent

// Makes a directory of finished files visible under its final name: syncs it, renames it, and syncs
// the parent. The final name must not exist.
void publish_directory(const std::filesystem::path& temporary, const std::filesystem::path& final);

// Creates the directory and its parents; none of it is an error if it is there already.
void make_directories(const std::filesystem::path& directory);

// CRC-32 (zlib's) of bytes, and of a file's.
std::uint32_t crc32_of(std::string_view bytes);
std::uint32_t crc32_of_file(const std::filesystem::path& file);

// A regular file, open to be read at any position. Threads may share one. It can be read to its end
// even if it is removed meanwhile.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& file);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;

  const std::filesystem::path& path() const { return file_; }
  std::int64_t size() const { return size_; }  // when it was opened
  // Fills the buffer from the position on; throws when the file ends before that.
  void read(std::int64_t position, std::span<std::byte> buffer) const;

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
  std::int64_t size_ = 0;
};

std::uint32_t crc32_of_file(const InputFile& file);

// A file that only grows, a line at a time: metrics. Opening one cuts it to the bytes that the
// checkpoint knew of, so that a resumed run writes the lines after it again.
class AppendFile {
 public:
  // Creates the file if absent and nothing is to be kept. Throws when it holds fewer than
  // keep_bytes.
  AppendFile(const std::filesystem::path& file, std::int64_t keep_bytes);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void append(std::string_view text);  // a failed one is cut off again where possible
  void sync();
  std::int64_t size() const { return size_; }

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
  std::int64_t size_ = 0;
};

}  // namespace tarn
