#include "train/tasks/data_facts.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <vector>

#include "core/check.h"
#include "core/names.h"

namespace tarn::train {
namespace {

// Where two values of a fact differ; of two lists, which are long, only their first difference.
std::string difference(const std::string& fact, const std::string& there, const std::string& here) {
  const std::vector<std::string> a = words_of(there), b = words_of(here);
  if (a.size() <= 1 && b.size() <= 1) {
    return message(fact, ": \"", there, "\" there, \"", here, "\" here");
  }
  std::size_t i = 0;
  while (i < std::min(a.size(), b.size()) && a[i] == b[i]) ++i;
  const auto at = [i](const std::vector<std::string>& words) {
    return i < words.size() ? message("\"", words[i], "\"") : "none";
  };
  return message(
      fact, "[", i, "]: ", at(a), " there, ", at(b), " here",
      a.size() == b.size() ? "" : message(" (", a.size(), " there, ", b.size(), " here)"));
}

}  // namespace

void check_same_data(const DataFacts& checkpoint, const DataFacts& found, const std::string& name) {
  for (const auto& [fact, trained] : checkpoint) {
    const auto here = found.find(fact);
    TARN_CHECK_AS(ConfigError, here == found.end() || here->second == trained, name,
                  " was trained with other data: ", difference(fact, trained, here->second));
  }
}

void take_data_facts(Config& config, const Config& trained, const DataFacts& checkpoint,
                     const std::string& name) {
  std::string& phones = config.speech.phones;
  std::error_code unknown;
  if (checkpoint.contains("phones") && phones == trained.speech.phones &&
      !std::filesystem::exists(std::filesystem::path(config.task.data) / phones, unknown)) {
    phones.clear();
  }
  const auto rate = checkpoint.find("sample_rate");
  if (rate == checkpoint.end()) return;
  const std::string& text = rate->second;
  if (config.speech.sample_rate != 0) {
    const std::string here = std::to_string(config.speech.sample_rate);
    return check_same_data({{"sample_rate", text}}, {{"sample_rate", here}}, name);
  }
  std::from_chars(text.data(), text.data() + text.size(), config.speech.sample_rate);
}

}  // namespace tarn::train
