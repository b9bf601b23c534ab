#include "train/reproduce/experiment.h"

#include <algorithm>
#include <string_view>

#include "core/check.h"
#include "core/io/file.h"
#include "core/names.h"
#include "train/reproduce/expression.h"
#include "train/reproduce/toml_table.h"

namespace tarn::train::reproduce {
namespace {

namespace fs = std::filesystem;

void check_scale(const TomlTable& table, const char* key, const std::string& scale) {
  if (std::find(std::begin(kScales), std::end(kScales), scale) == std::end(kScales)) {
    table.fail(key, message("\"", scale, "\" is none of smoke, cpu, paper"));
  }
}

std::vector<std::string> read_scales(TomlTable& table) {
  std::vector<std::string> scales = table.texts("scales");
  for (const std::string& scale : scales) check_scale(table, "scales", scale);
  return scales;
}

std::map<std::string, std::string> read_words(TomlTable& table, const char* key) {
  return table.values<std::string>(key, "a string");
}

Source read_source(TomlTable& table) {
  Source source;
  source.command = table.texts("command");
  source.log = table.text_or("log", "");
  source.where = read_words(table, "where");
  source.x = table.text_or("x", "");
  source.value = table.text_or("value", "");
  source.per = table.text_or("per", "");
  source.factor = table.number_or("factor", source.factor);
  source.combine = table.text_or("combine", "");
  const std::vector<std::string> ways{"sum", "min", "max"};
  if (!source.combine.empty() && !includes(ways, source.combine)) {
    table.fail("combine", message("must be one of ", joined(ways)));
  }
  source.rows = table.texts("rows");
  source.scales = read_scales(table);
  if (!source.command.empty() && !source.log.empty()) table.fail("log", "excludes command");
  if (!source.command.empty() && source.value.empty()) {
    table.fail("value", "is missing: the field of the command's result");
  }
  return source;
}

Row read_row(TomlTable& table) {
  Row row;
  row.name = table.text("name");
  row.title = table.text("title");
  for (auto& [scale, training] : table.named_tables("training")) {
    check_scale(table, "training", scale);
    Training how{training.text("config"), training.texts("set"), training.text_or("data", "")};
    training.finish();
    row.training[scale] = std::move(how);
  }
  row.same_as = table.text_or("same_as", "");
  if (!row.same_as.empty() && !row.training.empty()) table.fail("same_as", "excludes training");
  row.words = read_words(table, "words");
  return row;
}

Column read_column(TomlTable& table) {
  Column column;
  column.name = table.text("name");
  column.title = table.text("title");
  column.digits = table.integer_or("digits", column.digits);
  column.paper = table.values<double>("paper", "a number");
  column.formula = table.text_or("formula", "");
  column.source = read_source(table);
  const bool measured = !column.source.command.empty() || !column.source.log.empty();
  if (measured == !column.formula.empty()) {
    table.fail("command", "a column has one of command, log and formula");
  }
  return column;
}

Chart read_chart(TomlTable& table) {
  Chart chart{table.text("name"),    table.text("title"), table.text("x_title"),
              table.text("y_title"), table.flag("x_log"), table.flag("y_log"),
              read_source(table)};
  if (!chart.source.command.empty() && chart.source.x.empty()) {
    table.fail("x", "is missing: the field along the x axis");
  }
  if (chart.source.command.empty() && chart.source.log.empty()) {
    table.fail("command", "a chart has one of command and log");
  }
  return chart;
}

Claim read_claim(TomlTable& table) {
  return {table.text("text"), table.text("place"), table.text("check"), read_scales(table)};
}

Picture read_picture(TomlTable& table) {
  return {table.text("title"),
          table.text("caption"),
          table.text("row"),
          table.text("file"),
          table.lists_of_texts("commands"),
          read_scales(table)};
}

Preparation read_preparation(TomlTable& table) {
  return {table.text("name"), table.texts("command"), read_scales(table)};
}

template <class T>
std::vector<T> read_all(TomlTable& table, const char* key, T (*read)(TomlTable&)) {
  std::vector<T> all;
  for (TomlTable& entry : table.tables(key)) {
    all.push_back(read(entry));
    entry.finish();
  }
  return all;
}

template <class T>
bool has(const std::vector<T>& all, const std::string& name) {
  return std::any_of(all.begin(), all.end(), [&](const T& one) { return one.name == name; });
}

// Answers every name that the experiment has, so that an expression can be read before anything was
// measured.
class Names : public Values {
 public:
  explicit Names(const Experiment& experiment) : experiment_(experiment) {}

  double number(const std::string& column, const std::string& row) const override {
    TARN_CHECK_AS(ConfigError, has(experiment_.columns, column), "there is no column ", column);
    check_row(row);
    return 1;
  }
  const std::vector<Point>& curve(const std::string& chart, const std::string& row) const override {
    TARN_CHECK_AS(ConfigError, has(experiment_.charts, chart), "there is no chart ", chart);
    check_row(row);
    return some_;
  }
  void check_row(const std::string& row) const {
    TARN_CHECK_AS(ConfigError, has(experiment_.rows, row), "there is no row ", row);
  }

 private:
  const Experiment& experiment_;
  std::vector<Point> some_{{1, 1}, {2, 2}};
};

// Checks that a text is an expression of known names. Which points a curve will have is not known
// yet.
template <class Read>
void check_expression(const TomlTable& table, const char* key, const Read& read) {
  try {
    read();
  } catch (const NotMeasured&) {
    return;
  } catch (const ConfigError& error) {
    table.fail(key, error.what());
  }
}

// Checks that all names that tables refer to exist.
void check_names(TomlTable& table, const Experiment& experiment) {
  Names names(experiment);
  const auto check_row = [&](const TomlTable& at, const char* key, const std::string& row) {
    check_expression(at, key, [&] { names.check_row(row); });
  };
  std::vector<TomlTable> tables = table.tables("columns");
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const Column& column = experiment.columns[i];
    for (const auto& [row, value] : column.paper) check_row(tables[i], "paper", row);
    for (const std::string& row : column.source.rows) check_row(tables[i], "rows", row);
    for (const Row& row : experiment.rows) {
      if (column.formula.empty()) break;
      const std::string formula = replaced(column.formula, "{row}", row.name);
      check_expression(tables[i], "formula", [&] { evaluate(formula, names); });
    }
  }
  tables = table.tables("charts");
  for (std::size_t i = 0; i < tables.size(); ++i) {
    for (const std::string& row : experiment.charts[i].source.rows)
      check_row(tables[i], "rows", row);
  }
  tables = table.tables("claims");
  for (std::size_t i = 0; i < tables.size(); ++i) {
    check_expression(tables[i], "check", [&] { check(experiment.claims[i].check, names); });
  }
  tables = table.tables("pictures");
  for (std::size_t i = 0; i < tables.size(); ++i) {
    check_row(tables[i], "row", experiment.pictures[i].row);
  }
}

}  // namespace

std::string replaced(std::string text, std::string_view word, std::string_view by) {
  for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + by.size())) {
    text.replace(at, word.size(), by);
  }
  return text;
}

bool includes(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

Experiment load_experiment(const fs::path& folder) {
  const std::string file = (folder / kExperimentFile).string();
  const toml::parse_result parsed = toml::parse(read_file(file));
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    throw ConfigError(message(file, ":", error.source().begin.line, ": ", error.description()));
  }
  TomlTable table(parsed.table(), "", file);
  Experiment experiment;
  experiment.folder = folder;
  experiment.name = folder.filename().string();
  experiment.title = table.text("title");
  experiment.place = table.text("place");
  experiment.about = table.text("about");
  experiment.data = read_words(table, "data");
  for (auto& [scale, words] : table.named_tables("scales")) {
    check_scale(table, "scales", scale);
    experiment.words[scale] = read_words(words, "words");
    words.finish();
  }
  experiment.preparations = read_all(table, "preparations", read_preparation);
  experiment.rows = read_all(table, "rows", read_row);
  experiment.columns = read_all(table, "columns", read_column);
  experiment.charts = read_all(table, "charts", read_chart);
  experiment.claims = read_all(table, "claims", read_claim);
  experiment.pictures = read_all(table, "pictures", read_picture);
  table.finish();

  check_names(table, experiment);
  return experiment;
}

std::vector<Experiment> load_experiments(const fs::path& folder) {
  TARN_CHECK_AS(IoError, fs::is_directory(folder), "there is no folder ", folder.string(),
                " of experiments here; run in the root of the source, or name it by --experiments");
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (fs::exists(entry.path() / kExperimentFile)) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  std::vector<Experiment> experiments;
  experiments.reserve(folders.size());
  for (const fs::path& one : folders) experiments.push_back(load_experiment(one));
  return experiments;
}

}  // namespace tarn::train::reproduce
