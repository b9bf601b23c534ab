// An experiment of the paper as data: what experiments/<name>/experiment.toml says.
// docs/reproduction.md describes the keys.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::train::reproduce {

// How a row's model is trained at one scale.
struct Training {
  std::string config;            // the file, relative to the experiment's folder
  std::vector<std::string> set;  // overrides of its keys
  std::string data;              // a key of Experiment::data; empty: needs none
};

// A method: a line of the table, a curve of the charts.
struct Row {
  std::string name, title;
  std::map<std::string, Training> training;  // by scale; a row may have none
  std::string same_as;                       // "table1/linear": the run of another experiment's row
  std::map<std::string, std::string> words;  // what {word} stands for in commands and in `where`
};

// Where numbers come from: a command that prints one JSON value or writes it to {json}, or the
// evaluations in the metrics of the row's run.
struct Source {
  std::vector<std::string> command;  // "tarn", or a file of the source tree, and its arguments
  std::string log;                   // a metric; excludes the command
  // Of the command's value: the entries of its "rows" that hold all of these, or, without any, it
  // itself.
  std::map<std::string, std::string> where;
  std::string x;      // of a chart: the field along its x axis
  std::string value;  // the field with the number
  std::string per;    // a field to divide that by; empty: none
  double factor = 1;  // 100 for per cent
  // Of several entries of one x "sum", "min" or "max"; empty: an error. Of a log that gives one
  // number, "min" or "max"; empty: the last.
  std::string combine;
  std::vector<std::string> rows;    // which rows have it; empty: all
  std::vector<std::string> scales;  // at which scales; empty: at all
};

struct Column {
  std::string name, title;
  int digits = 3;
  std::map<std::string, double> paper;  // by row
  Source source;
  std::string formula;  // instead of a source: an expression with {row}
};

struct Chart {
  std::string name, title, x_title, y_title;
  bool x_log = false, y_log = false;
  Source source;
};

// A statement of the paper as a comparison of columns and charts (expression.h).
struct Claim {
  std::string text, place, check;
  std::vector<std::string> scales;  // at which it can be tested; empty: at all
};

// Files that commands make for the report, one after another; {dir} is a folder of their own, in
// which each leaves what it printed as 1.out, 2.out and so on.
struct Picture {
  std::string title, caption, row, file;  // the file is relative to {dir}
  std::vector<std::vector<std::string>> commands;
  std::vector<std::string> scales;
};

// What has to be made before any run: {dir} is its folder, and {made.EXPERIMENT.NAME} what others
// call it.
struct Preparation {
  std::string name;
  std::vector<std::string> command;
  std::vector<std::string> scales;
};

struct Experiment {
  std::filesystem::path folder;
  std::string name, title, place, about;
  std::map<std::string, std::string> data;  // a folder under --data, and where people get it
  std::map<std::string, std::map<std::string, std::string>> words;  // by scale, then by word
  std::vector<Preparation> preparations;
  std::vector<Row> rows;
  std::vector<Column> columns;
  std::vector<Chart> charts;
  std::vector<Claim> claims;
  std::vector<Picture> pictures;
};

constexpr const char* kScales[] = {"smoke", "cpu", "paper"};
constexpr const char* kExperimentFile = "experiment.toml";

// Reads the file of a folder. ConfigError that names file, line and key if anything in it is
// unknown, missing or wrong: every name in a formula or check must be one of a column or chart and
// of a row.
Experiment load_experiment(const std::filesystem::path& folder);

// Those of all folders that have such a file, in the order of their names.
std::vector<Experiment> load_experiments(const std::filesystem::path& folder);

// The text with every occurrence of the word replaced.
std::string replaced(std::string text, std::string_view word, std::string_view by);

// Whether the list names it, or names none.
bool includes(const std::vector<std::string>& names, const std::string& name);

}  // namespace tarn::train::reproduce
