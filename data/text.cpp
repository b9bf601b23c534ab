#include "data/text.h"

#include "core/check.h"

namespace tarn::data {

std::string_view without_byte_order_mark(std::string_view text, const std::string& source) {
  TARN_CHECK_AS(IoError, !text.starts_with("\xff\xfe") && !text.starts_with("\xfe\xff"), source,
                " is in UTF-16; save it as UTF-8");
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  return text;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text[0]);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xC2 ? 0  // a continuation, or longer than it need be
                               : first < 0xE0 ? 2
                               : first < 0xF0 ? 3
                               : first < 0xF5 ? 4
                                              : 0;
    if (length == 0 || length > text.size()) return false;
    for (std::size_t i = 1; i < length; ++i) {
      if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) return false;
    }
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace tarn::data
