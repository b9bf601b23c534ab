// Numbers out of what commands and runs left.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "train/reproduce/experiment.h"
#include "train/reproduce/results.h"

namespace tarn::train::reproduce {

using Substitutes = std::map<std::string, std::string>;

// The text with each {word} replaced. ConfigError for an unknown word.
std::string expand(const std::string& text, const Substitutes& words);
std::vector<std::string> expand(const std::vector<std::string>& texts, const Substitutes& words);
// Whether {word} occurs.
bool uses(const std::vector<std::string>& texts, const std::string& word);

// What the source takes from a command's value, as points (x, value) in the order of x; x is 0
// where the source names none. Empty if no entry is as `where` says; a value that is not finite,
// which is null in JSON, is no point. ConfigError if a field is missing or is no number, or if two
// points have the same x and the source does not combine them.
Curve points_of(const nlohmann::json& value, const Source& source, const Substitutes& words);

// The evaluations in the metrics of a run: (step, the metric of source.log).
Curve evaluations(const std::filesystem::path& run, const Source& source);

// A curve as one number: source.combine says the "min" or the "max" of it; else the last.
double one_value(const Curve& curve, const Source& source);

Measured mean_of(const std::vector<double>& values);
// Point by point, of those x that all have.
Curve mean_of(const std::vector<Curve>& curves);

}  // namespace tarn::train::reproduce
