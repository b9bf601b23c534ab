// Keeps other processes out: a run's folder has one trainer at a time.
#pragma once

#include <filesystem>

namespace tarn {

// Held while it lives; the system lets go of it when the process ends in whatever way.
class FileLock {
 public:
  // Creates the file if absent. Throws IoError at once when another process holds it.
  explicit FileLock(const std::filesystem::path& file);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // Whether anyone holds the lock of the file now. Asks the system and takes nothing, not even for
  // a moment, so that it never keeps a process out that wants the lock. False if there is no file.
  static bool held(const std::filesystem::path& file);

 private:
  int descriptor_;
};

}  // namespace tarn
