// What a reproduction of the paper's experiments found: the content of report/results.json, which
// the page and the tables of the report are made from.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tarn::train::reproduce {

// A measured number: the mean over the seeds, and their standard deviation where there are several.
struct Measured {
  double mean = 0;
  double deviation = 0;  // of the seeds around the mean, over count - 1; 0 for one seed
  std::int64_t count = 1;
};

using Point = std::pair<double, double>;
using Curve = std::vector<Point>;

// A method, a line of a table or a curve of a chart: "linear", "softmax".
struct RowResult {
  std::string name, title;
  // Of its training run; empty where the row needs none at this scale.
  std::string config;                      // the file, from the root of the source
  std::vector<std::string> set;            // overrides of its keys
  std::string config_hash;                 // SHA-256 of the whole config as it was run
  double seconds = 0;                      // of training, over all seeds and after every resumption
  std::string missing;                     // why there is no result; empty: there is
  std::map<std::string, Measured> values;  // by the name of the column
  std::map<std::string, std::vector<Point>> curves;  // by the name of the chart
};

struct ColumnResult {
  std::string name, title;
  int digits = 3;                       // behind the decimal point, of numbers near 1
  std::map<std::string, double> paper;  // what the paper has, by the name of the row
};

struct ChartResult {
  std::string name, title, x_title, y_title;
  bool x_log = false, y_log = false;
};

enum class Verdict { holds, does_not_hold, not_at_this_scale, not_tested };
inline constexpr std::array kVerdicts{Verdict::holds, Verdict::does_not_hold,
                                      Verdict::not_at_this_scale, Verdict::not_tested};
std::string text_of(Verdict verdict);  // "holds", "not tested at this scale"

struct ClaimResult {
  std::string text;   // "linear attention ends within 5 % of softmax's loss"
  std::string place;  // where the paper says so
  std::string check;  // the expression, "loss.linear <= 1.05 * loss.softmax"
  Verdict verdict = Verdict::not_tested;
  std::vector<std::pair<std::string, double>> numbers;  // the measured values in it
  std::string missing;                                  // of a claim that was not tested: why
};

// A file that an experiment made, to be shown: PNG or SVG.
struct PictureResult {
  std::string title, caption;
  std::filesystem::path file;  // relative to the folder of the reproduction
  std::string missing;         // why it is not there
};

struct ExperimentResult {
  std::string name, title;  // "table1"; "MNIST, value by value"
  std::string place;        // in the paper: "Table 1"
  std::string about;        // a paragraph: what is measured, and what is done otherwise than there
  std::string missing;      // data that is not there, and where people get it; empty: nothing
  double seconds = 0;       // of all its parts together
  std::vector<RowResult> rows;
  std::vector<ColumnResult> columns;
  std::vector<ChartResult> charts;
  std::vector<ClaimResult> claims;
  std::vector<PictureResult> pictures;
};

struct Machine {
  std::string processor, instruction_set, blas, device, version, commit;
  std::int64_t threads = 0;
};

struct Results {
  std::string scale;  // "smoke", "cpu", "paper"
  Machine machine;
  std::vector<ExperimentResult> experiments;
};

// As JSON, with every field under its name here; and back. The second throws ConfigError that names
// the source and what is wrong.
std::string to_json(const Results& results);
Results results_from_json(const std::string& text, const std::string& source_name);

}  // namespace tarn::train::reproduce
