// `tarn bench gradients`: how far gradients are from those in f64.
#include <map>
#include <nlohmann/json.hpp>

#include "data/drawn_images.h"
#include "tests/train/tiny_speech.h"

namespace tarn::test {
namespace {

using nlohmann::json;

// The rows of one kind ("whole", "layer", "parameter") by name.
class Rows {
 public:
  Rows(const TinyRuns& runs, const Arguments& more = {}) {
    const std::filesystem::path file = runs / "gradients.json";
    Arguments arguments{"bench",  "gradients", runs.config(), "--compute", "f32,bf16-emulated",
                        "--json", file};
    arguments.insert(arguments.end(), more.begin(), more.end());
    run_ok(arguments);
    const json report = json::parse(read_file(file));
    for (const json& row : report["rows"]) rows_[row["of"]][row["name"]] = row;
  }

  const std::map<std::string, json>& of(const std::string& kind) const { return rows_.at(kind); }
  double at(const std::string& kind, const std::string& name, const char* column) const {
    return of(kind).at(name).at(column).get<double>();
  }

 private:
  std::map<std::string, std::map<std::string, json>> rows_;
};

double squares_of_shares(const std::map<std::string, json>& rows) {
  double sum = 0;
  for (const auto& [name, row] : rows)
    sum += row["share"].get<double>() * row["share"].get<double>();
  return sum;
}

}  // namespace

TEST_CASE("gradients: f32 is near f64, bf16 less, as a whole, by layer and by parameter") {
  const TinyRuns runs;
  const Rows rows(runs, {"--set", "model.layers=2"});
  CHECK(rows.of("whole").size() == 1);
  CHECK(rows.at("whole", "all", "share") == 1);
  CHECK(rows.at("whole", "all", "f32") < 1e-5);
  CHECK(rows.at("whole", "all", "bf16-emulated") > 1e-4);
  CHECK(rows.at("whole", "all", "bf16-emulated") < 5e-2);
  CHECK(rows.of("layer").count("transformer.layers.1") == 1);
  CHECK(rows.of("parameter").count("transformer.layers.1.linear2.bias") == 1);
  CHECK(squares_of_shares(rows.of("layer")) == doctest::Approx(1));
  CHECK(squares_of_shares(rows.of("parameter")) == doctest::Approx(1));
}

TEST_CASE("gradients: after updates they are those of other weights and another batch") {
  const TinyRuns runs;
  const std::string name = "transformer.layers.0";
  const double fresh = Rows(runs).at("layer", name, "share");
  const Rows trained(runs, {"--steps", "3"});
  CHECK(trained.at("layer", name, "share") != fresh);
  CHECK(trained.at("whole", "all", "f32") < 1e-5);
}

TEST_CASE("gradients: of a model of speech, whose features become f64 too") {
  const TinySpeech speech;
  const Rows rows(speech.runs());
  CHECK(rows.at("whole", "all", "f32") < 1e-4);
  CHECK(rows.at("whole", "all", "bf16-emulated") > 1e-4);
}

TEST_CASE("gradients: of models of images, with either head") {
  const TinyRuns runs;
  data::ImageSet images{{4, 4, 1}, 12, {}, std::vector<std::uint8_t>(12)};
  for (int i = 0; i < 12 * 16; ++i) images.pixels.push_back(static_cast<std::uint8_t>(37 * i));
  data::write_image_folder(runs / "images", images, images);
  for (const char* head : {"mixture", "categorical"}) {
    CAPTURE(head);
    Arguments settings;
    for (const std::string& setting :
         {message("task.data=", (runs / "images").string()), message("model.head=", head),
          std::string("task.kind=images"), std::string("task.sequence_length=15"),
          std::string("task.validation=2")}) {
      settings.insert(settings.end(), {"--set", setting});
    }
    const Rows rows(runs, settings);
    CHECK(rows.at("whole", "all", "f32") < 1e-5);
    CHECK(rows.at("whole", "all", "bf16-emulated") > 1e-4);
  }
}

TEST_CASE("gradients: an LSTM has no bf16 products to hold against f64") {
  const TinySpeech speech;
  check_refused({"bench", "gradients", speech.runs().config(), "--set", "model.kind=bilstm"},
                {"model.compute is \"bf16\", which is for transformers"});
}

}  // namespace tarn::test
