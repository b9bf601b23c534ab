#include "core/check.h"

#include <cstdio>

namespace tarn::detail {

void append_number(std::string& out, double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  out += text;
}

}  // namespace tarn::detail
