#include "train/reproduce/experiment.h"

#include <doctest/doctest.h>

#include "core/check.h"
#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"

namespace tarn::train::reproduce {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGood = R"(title = "T"
place = "Table 1"
about = "A."

[[rows]]
name = "linear"
title = "linear"
words = { kind = "causal-linear" }
[rows.training.cpu]
config = "../a.toml"
set = ["train.steps=2"]

[[columns]]
name = "loss"
title = "loss"
log = "loss"
paper = { linear = 2 }

[[claims]]
text = "It falls"
place = "here"
check = "loss.linear < 3"
scales = ["cpu"]
)";

class Folder {
 public:
  explicit Folder(const std::string& text) {
    fs::create_directory(path());
    test::write_text(path() / kExperimentFile, text);
  }
  fs::path path() const { return dir_ / "one"; }

 private:
  test::TempDir dir_;
};

std::string with(std::string text, const std::string& old, const std::string& by) {
  const std::size_t at = text.find(old);
  REQUIRE(at != text.npos);
  return text.replace(at, old.size(), by);
}

void check_experiment_refused(const std::string& text, const std::string& part) {
  const Folder folder(text);
  try {
    load_experiment(folder.path());
    FAIL("not refused: ", part);
  } catch (const ConfigError& error) {
    const std::string text_of_error = error.what();
    INFO(text_of_error);
    CAPTURE(part);
    CHECK(text_of_error.find(part) != std::string::npos);
    CHECK(std::string(error.what()).find("experiment.toml") != std::string::npos);
  }
}

TEST_CASE("reproduce: an experiment is what its file says") {
  const Folder folder(kGood);
  const Experiment experiment = load_experiment(folder.path());
  CHECK(experiment.name == "one");
  CHECK(experiment.title == "T");
  REQUIRE(experiment.rows.size() == 1);
  CHECK(experiment.rows[0].words.at("kind") == "causal-linear");
  CHECK(experiment.rows[0].training.at("cpu").set == std::vector<std::string>{"train.steps=2"});
  REQUIRE(experiment.columns.size() == 1);
  CHECK(experiment.columns[0].paper.at("linear") == 2);
  CHECK(experiment.columns[0].digits == 3);
  REQUIRE(experiment.claims.size() == 1);
  CHECK(experiment.claims[0].check == "loss.linear < 3");
}

TEST_CASE("reproduce: a wrong experiment is refused by file, line and key") {
  check_experiment_refused(with(kGood, "place = \"here\"", "pages = 3"),
                           ":19: claims[1].place: is missing");
  check_experiment_refused(with(kGood, "log = \"loss\"", "lgo = \"loss\""),
                           "one of command, log and formula");
  check_experiment_refused(with(kGood, "title = \"T\"\n", ""), "title: is missing");
  check_experiment_refused(with(kGood, "title = \"T\"", "title = 3"), ":1: title must be a string");
  check_experiment_refused(with(kGood, "scales = [\"cpu\"]", "scales = [\"gpu\"]"),
                           "\"gpu\" is none of smoke, cpu, paper");
  check_experiment_refused(with(kGood, "loss.linear < 3", "loss.softmax < 3"),
                           "there is no row softmax");
  check_experiment_refused(with(kGood, "loss.linear < 3", "los.linear < 3"),
                           "there is no column los");
  check_experiment_refused(with(kGood, "loss.linear < 3", "loss.linear"), "expected one of <");
  check_experiment_refused(with(kGood, "log = \"loss\"", "formula = \"time.{row}\""),
                           "there is no column time");
  check_experiment_refused(with(kGood, "words = {", "wrods = {"), "unknown key rows[1].wrods");
  check_experiment_refused(with(kGood, "training.cpu", "training.gpu"),
                           "\"gpu\" is none of smoke, cpu, paper");
  check_experiment_refused(with(kGood, "paper = { linear", "paper = { lniear"),
                           ":17: columns[1].paper: there is no row lniear");
  check_experiment_refused(with(kGood, "log = \"loss\"", "log = \"loss\"\nrows = [\"lsh\"]"),
                           "columns[1].rows: there is no row lsh");
  check_experiment_refused(
      std::string(kGood) +
          "[[pictures]]\ntitle = \"\"\ncaption = \"\"\nrow = \"lsh\"\nfile = \"x.png\"\n",
      "pictures[1].row: there is no row lsh");
  check_experiment_refused(with(kGood, "[[rows]]", "[[rows"), "experiment.toml:5");
}

TEST_CASE("reproduce: the experiments of the source are all of the paper's figures and tables") {
  std::vector<std::string> names;
  for (const Experiment& experiment : load_experiments(test::source_dir() / "experiments")) {
    names.push_back(experiment.name);
    CHECK_FALSE(experiment.rows.empty());
    CHECK((!experiment.claims.empty() || !experiment.pictures.empty()));
    for (const Row& row : experiment.rows) {
      for (const auto& training : row.training) {
        const std::string config = training.second.config;
        CAPTURE(config);
        CHECK(fs::exists(experiment.folder / config));
      }
    }
  }
  CHECK(names == std::vector<std::string>{"figure1", "figure2", "samples", "table1", "table2",
                                          "table3", "table4", "table5"});
}

}  // namespace
}  // namespace tarn::train::reproduce
