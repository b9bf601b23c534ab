// The optional data folder: real data and larger golden files that do not come with the source.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/support/paths.h"

namespace tarn::test {

// The folder, from TARN_DATA or beside the source; empty, with a message, where it is absent. A
// test then returns: if (data.empty()) return;
inline std::filesystem::path optional_data(const std::filesystem::path& expected = {}) {
  const char* given = std::getenv("TARN_DATA");
  const std::filesystem::path folder =
      given != nullptr ? std::filesystem::path(given) : test::source_dir().parent_path() / "shared";
  if (std::filesystem::exists(folder / expected)) return folder;
  MESSAGE("skipped: there is no ", (folder / expected).string(),
          "; TARN_DATA names the optional data folder");
  return {};
}

}  // namespace tarn::test
