#include <algorithm>
#include <array>

#include "core/check.h"
#include "train/config/config_keys.h"

namespace tarn::train {

std::vector<KeyValues> all_keys(std::span<const Config> configs) {
  std::vector<Config> copies(configs.begin(), configs.end());  // as to_toml() has it
  std::vector<KeyValues> all;
  for (const Key& key : keys()) {
    KeyValues& row = all.emplace_back(KeyValues{key.full_name(), {}});
    for (Config& config : copies) row.values.push_back(value_text(key.field(config)));
  }
  return all;
}

std::vector<KeyValues> differing_keys(std::span<const Config> configs) {
  std::vector<KeyValues> rows = all_keys(configs);
  std::erase_if(rows, [](const KeyValues& row) {
    return std::all_of(row.values.begin(), row.values.end(),
                       [&](const std::string& value) { return value == row.values.front(); });
  });
  return rows;
}

std::string describe_differences(const Config& before, const Config& after) {
  std::string text;
  for (const KeyValues& row : differing_keys(std::array{before, after})) {
    text += message("\n  ", row.key, " was ", row.values[0], " and is ", row.values[1]);
  }
  return text;
}

}  // namespace tarn::train
