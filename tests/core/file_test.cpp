#include "core/io/file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "tests/support/temp_dir.h"

namespace tarn {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST_CASE("file: what is written is read") {
  const test::TempDir dir;
  const std::string zeros(100000, '\0');
  for (const std::string& content : {std::string(), std::string("x"), zeros}) {
    write_file_atomically(dir / "f", content);
    CHECK(read_file(dir / "f") == content);
  }
  const std::vector<std::string_view> parts = {"one ", "", "two"};
  write_file(dir / "g", parts);
  CHECK(read_file(dir / "g") == "one two");
  CHECK(names_in(dir.path()) == std::vector<std::string>{"f", "g"});
}

TEST_CASE("file: a replaced file was never changed") {
  const test::TempDir dir;
  write_file_atomically(dir / "f", "old content");
  fs::create_hard_link(dir / "f", dir / "kept");  // still names the old file
  write_file_atomically(dir / "f", "new");
  CHECK(read_file(dir / "f") == "new");
  CHECK(read_file(dir / "kept") == "old content");
}

TEST_CASE("file: names without a directory are in the current one") {
  const test::TempDir dir;
  const fs::path before = fs::current_path();
  fs::current_path(dir.path());
  write_file_atomically("f", "here");
  make_directories("a/b/");
  publish_directory("a/b/", "c/");
  fs::current_path(before);
  CHECK(read_file(dir / "f") == "here");
  CHECK(fs::is_directory(dir / "c"));
}

TEST_CASE("file: a pipe or a file of the system is read to its end") {
  CHECK(read_file("/proc/self/stat").starts_with(std::to_string(getpid())));
}

TEST_CASE("file: errors name the file and what the system said") {
  const test::TempDir dir;
  const std::string missing = (dir / "none").string();
  CHECK_THROWS_WITH_AS(read_file(missing),
                       ("cannot open " + missing + ": No such file or directory").c_str(), IoError);
  CHECK_THROWS_WITH_AS(write_file_atomically(missing + "/f", ""),
                       ("cannot create " + missing + "/f: No such file or directory").c_str(),
                       IoError);
  CHECK_THROWS_WITH_AS(read_file(dir.path()),
                       ("cannot read " + dir.path().string() + ": Is a directory").c_str(),
                       IoError);
  CHECK_THROWS_WITH_AS(write_file_atomically(dir.path(), ""), doctest::Contains("Is a directory"),
                       IoError);
  CHECK_THROWS_WITH_AS(crc32_of_file(missing), doctest::Contains(missing.c_str()), IoError);
}

TEST_CASE("file: a path through a file is an error") {
  const test::TempDir dir;
  write_file_atomically(dir / "f", "x");
  CHECK_THROWS_WITH_AS(write_file(dir / "f" / "g", {}), doctest::Contains("Not a directory"),
                       IoError);
  CHECK_THROWS_WITH_AS(make_directories(dir / "f" / "g"), doctest::Contains("Not a directory"),
                       IoError);
  CHECK_THROWS_WITH_AS(make_directories(dir / "f"), doctest::Contains("File exists"), IoError);
  CHECK_THROWS_AS(AppendFile(dir / "f" / "g", 0), IoError);
}

TEST_CASE("file: a directory without the right to write is an error") {
  if (geteuid() == 0) return;  // root may write anywhere
  const test::TempDir dir;
  write_file_atomically(dir / "f", "old");
  fs::permissions(dir.path(), fs::perms::owner_read | fs::perms::owner_exec);
  CHECK_THROWS_WITH_AS(write_file_atomically(dir / "f", "new"),
                       doctest::Contains("Permission denied"), IoError);
  CHECK(read_file(dir / "f") == "old");
  fs::permissions(dir.path(), fs::perms::owner_all);
}

TEST_CASE("file: a device is not replaced by a plain file") {
  CHECK_THROWS_WITH_AS(write_file_atomically("/dev/null", "x"),
                       "cannot write /dev/null: it is not a regular file", IoError);
  CHECK(fs::is_character_file("/dev/null"));
  CHECK_THROWS_WITH_AS(InputFile("/dev/null"), "cannot read /dev/null: it is not a regular file",
                       IoError);
}

TEST_CASE("file: directories are made with their parents") {
  const test::TempDir dir;
  make_directories(dir / "a" / "b" / "c");
  make_directories(dir / "a" / "b" / "c");
  make_directories(dir / "a" / "d" / "");
  CHECK(fs::is_directory(dir / "a" / "b" / "c"));
  CHECK(fs::is_directory(dir / "a" / "d"));
}

TEST_CASE("file: a directory is published once") {
  const test::TempDir dir;
  for (const char* name : {"one", "two"}) {
    make_directories(dir / name);
    write_file_atomically(dir / name / "f", name);
  }
  publish_directory(dir / "one", dir / "final");
  CHECK(read_file(dir / "final" / "f") == "one");
  CHECK_FALSE(fs::exists(dir / "one"));
  CHECK_THROWS_WITH_AS(publish_directory(dir / "two", dir / "final"),
                       doctest::Contains("final: File exists"), IoError);
  CHECK(read_file(dir / "final" / "f") == "one");
  make_directories(dir / "empty");
  CHECK_THROWS_AS(publish_directory(dir / "two", dir / "empty"), IoError);
  CHECK_THROWS_AS(publish_directory(dir / "none", dir / "other"), IoError);
}

TEST_CASE("file: crc32 is zlib's") {
  const test::TempDir dir;
  write_file_atomically(dir / "f", "123456789");
  CHECK(crc32_of_file(dir / "f") == 0xcbf43926);
  write_file_atomically(dir / "f", "");
  CHECK(crc32_of_file(dir / "f") == 0);
  write_file_atomically(dir / "f", std::string(3000001, 'a'));  // several buffers, and a part
  CHECK(crc32_of_file(dir / "f") == 0xa8b40752);
}

TEST_CASE("file: an input file is read at any position and not past its end") {
  const test::TempDir dir;
  write_file_atomically(dir / "f", "0123456789");
  const InputFile in(dir / "f");
  CHECK(in.size() == 10);
  std::string text(4, ' ');
  in.read(3, std::as_writable_bytes(std::span(text)));
  CHECK(text == "3456");
  in.read(10, {});
  CHECK_THROWS_WITH_AS(in.read(7, std::as_writable_bytes(std::span(text))),
                       doctest::Contains("it ends at byte 10, and 1 more were expected"), IoError);
}

TEST_CASE("file: an append file begins where it is told") {
  const test::TempDir dir;
  {
    AppendFile log(dir / "log", 0);
    log.append("one\n");
    log.append("two\n");
    log.sync();
    CHECK(log.size() == 8);
  }
  {
    AppendFile log(dir / "log", 4);  // as if the checkpoint were older than the last line
    CHECK(log.size() == 4);
    log.append("three\n");
  }
  CHECK(read_file(dir / "log") == "one\nthree\n");
  { const AppendFile log(dir / "log", 10); }
  CHECK(read_file(dir / "log") == "one\nthree\n");
}

TEST_CASE("file: an append file with fewer bytes than are to be kept is an error") {
  const test::TempDir dir;
  write_file_atomically(dir / "log", "one\n");
  CHECK_THROWS_WITH_AS(AppendFile(dir / "log", 5),
                       doctest::Contains("it holds 4 bytes, and the first 5 are to be kept"),
                       IoError);
  CHECK(read_file(dir / "log") == "one\n");
  CHECK_THROWS_AS(AppendFile(dir / "log", -1), IoError);
  CHECK_THROWS_AS(AppendFile(dir / "none", 5), IoError);
  CHECK_FALSE(fs::exists(dir / "none"));
}

// Where the disk takes only a part, here for a limit on the size of files, the part goes.
TEST_CASE("file: a failed append takes back the part that was written") {
  const test::TempDir dir;
  AppendFile log(dir / "log", 0);
  log.append("one\n");
  struct rlimit before {};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit limit { 10, before.rlim_max };
  REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  CHECK_THROWS_WITH_AS(log.append("a line that does not fit\n"),
                       doctest::Contains("File too large"), IoError);
  CHECK(log.size() == 4);
  const std::string held = read_file(dir / "log");
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK(held == "one\n");
  log.append("two\n");
  CHECK(read_file(dir / "log") == "one\ntwo\n");
}

}  // namespace
}  // namespace tarn
