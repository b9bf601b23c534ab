#include "core/check.h"
#include "train/config/config_keys.h"

namespace tarn::train {

std::string describe_differences(const Config& before, const Config& after) {
  Config a = before;
  Config b = after;
  std::string text;
  for (const Key& key : keys()) {
    const std::string old_value = value_text(key.field(a));
    const std::string new_value = value_text(key.field(b));
    if (old_value == new_value) continue;
    text += message("\n  ", key.full_name(), " was ", old_value, " and is ", new_value);
  }
  return text;
}

}  // namespace tarn::train
