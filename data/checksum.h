// Checksums of bytes, as hexadecimal digits.
#pragma once

#include <string>
#include <string_view>

namespace tarn::data {

std::string md5_of(std::string_view bytes);  // by which the pages of data sets name their files
std::string sha256_of(std::string_view bytes);

}  // namespace tarn::data
