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

}  // namespace tarn::data
