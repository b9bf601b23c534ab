// MD5 checksums, by which the pages of data sets name their files.
#pragma once

#include <string>
#include <string_view>

namespace tarn::data {

// 32 hexadecimal digits.
std::string md5_of(std::string_view bytes);

}  // namespace tarn::data
