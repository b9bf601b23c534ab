// JSON files and lines. The library's own header is slow to compile: include it only in the .cpp
// files that build or read values.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace tarn {

// Throws IoError that names the source (a file) and the byte where the text stops being JSON. A key
// that an object holds twice is an error too, and so is nesting deeper than any file of tarn's.
nlohmann::json parse_json(std::string_view text, const std::string& source);
// The same, whose keys keep the order of the text.
nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& source);
nlohmann::json read_json(const std::filesystem::path& file);

// A value in a line, with its end. Of a file's name that is not UTF-8, what is wrong is replaced.
std::string json_line(const nlohmann::ordered_json& value);

}  // namespace tarn
