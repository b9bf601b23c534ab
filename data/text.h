// Text files as editors save them.
#pragma once

#include <string>
#include <string_view>

namespace tarn::data {

// The text behind the mark that some editors put before UTF-8. IoError, which begins with `source`
// (the file), for text that is marked as UTF-16.
std::string_view without_byte_order_mark(std::string_view text, const std::string& source);

// Whether the bytes are UTF-8, as RFC 3629 defines it but for the largest code points.
bool is_utf8(std::string_view text);

}  // namespace tarn::data
