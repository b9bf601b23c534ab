// Files that a test writes.
#pragma once

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace tarn::test {

inline void write_text(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

}  // namespace tarn::test
