// tarn export: a run's metrics as a table. What is written for TensorBoard is read by the tests of
// event files.
#include <sstream>

#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

std::vector<std::vector<std::string>> cells_of(const fs::path& file) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream text(read_file(file));
  for (std::string line; std::getline(text, line);) {
    auto& row = rows.emplace_back();
    std::istringstream cells(line + ",");
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(cell);
  }
  return rows;
}

TEST_CASE("export: CSV has a row a line of the log, and every column in each") {
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=20"}));
  const fs::path run = runs / "run", csv = runs / "run.csv";
  // Steps that were made again after a resumption: the last counts. Torn lines are none.
  write_text(run / "timing.jsonl", "{\"step\":3,\"time\":5,\"tokens_per_s\":1}\n" +
                                       read_file(run / "timing.jsonl") + "{\"step\":99");
  const std::string whole = read_file(run / "metrics.jsonl");
  write_text(run / "metrics.jsonl",
             whole + "{\"step\":30,\"evaluation\":{\"loss\":null}}\n{\"step\":31,\"lo");
  run_ok({"export", run, "--csv", csv});
  const auto rows = cells_of(csv);
  REQUIRE(rows.size() == 1 + 6 + 2 + 1);  // six training lines, two evaluations, the one added
  CHECK(rows[0] == std::vector<std::string>{"step", "kind", "loss", "accuracy", "lr", "grad_norm",
                                            "time", "seconds_per_step", "tokens_per_s",
                                            "peak_bytes", "system_blocks"});
  for (const auto& row : rows) CHECK(row.size() == rows[0].size());
  CHECK(rows[1][0] == "3");
  CHECK(rows[1][1] == "training");
  CHECK(contains(whole, "\"loss\":" + rows[1][2] + ","));
  CHECK(rows[1][4] == "0.001");
  CHECK(std::stod(rows[1][6]) > 1.7e9);
  CHECK(rows[4][0] == "10");
  CHECK(rows[4][1] == "evaluation");
  CHECK(rows[4][4] == "");
  CHECK(rows[9][2] == "nan");
}

TEST_CASE("export: what cannot be exported, or to where") {
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=20"}));
  run_ok(runs.train("none", {"train.steps=0"}));
  const auto before = snapshot(runs / "run");
  check_refused({"export", runs / "run"}, {"what to write?", "--csv FILE", "--tensorboard"});
  check_refused({"export", runs / "absent", "--csv", runs / "x"}, {"absent is not there"});
  check_refused({"export", runs.config().parent_path(), "--csv", runs / "x"},
                {"is no run's folder"});
  check_refused({"export", runs / "none", "--csv", runs / "x"}, {"holds no line yet"});
  check_refused({"export", runs / "run", "--csv", runs / "run" / "metrics.jsonl"},
                {"a run wrote it", "choose another file"});
  check_refused({"export", runs / "run", "--csv", runs / "deep" / "x"}, {"cannot write"});
  check_refused({"export", runs / "run", "--tensorboard", runs / "run"}, {"is not empty"});
  CHECK(snapshot(runs / "run") == before);
  CHECK_FALSE(fs::exists(runs / "x"));
  write_text(runs / "run" / "metrics.jsonl", "{\"step\":1}\n{\"step\n{\"step\":2}\n");
  check_refused({"export", runs / "run", "--csv", runs / "x"}, {"metrics.jsonl:2: not JSON"});
  write_text(runs / "run" / "metrics.jsonl", "{\"step\":1,\"loss\":\"low\"}\n");
  check_refused({"export", runs / "run", "--csv", runs / "x"},
                {"metrics.jsonl:1: loss is not a number"});
  write_text(runs / "run" / "metrics.jsonl", "[1]\n");
  check_refused({"export", runs / "run", "--csv", runs / "x"}, {"metrics.jsonl:1: ", "no step"});
  CHECK_FALSE(fs::exists(runs / "x"));
}

}  // namespace
}  // namespace tarn::test
