#include "train/tasks/data_facts.h"

#include <charconv>

#include "core/check.h"

namespace tarn::train {

void check_same_data(const DataFacts& checkpoint, const DataFacts& found, const std::string& name) {
  for (const auto& [fact, trained] : checkpoint) {
    const auto here = found.find(fact);
    TARN_CHECK_AS(ConfigError, here == found.end() || here->second == trained, name,
                  " was trained with other data: ", fact, " \"", trained,
                  "\"; the data here has \"", here == found.end() ? "" : here->second, "\"");
  }
}

void take_data_facts(Config& config, const DataFacts& facts) {
  const auto rate = facts.find("sample_rate");
  if (rate == facts.end() || config.speech.sample_rate != 0) return;
  const std::string& text = rate->second;
  std::from_chars(text.data(), text.data() + text.size(), config.speech.sample_rate);
}

}  // namespace tarn::train
