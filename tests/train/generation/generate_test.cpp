// `tarn generate`: which images it makes, how it shows them, its figures, what people get wrong and
// an interruption.
#include <csignal>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "data/drawn_images.h"
#include "tests/support/devices.h"
#include "tests/support/image_files.h"
#include "tests/support/png_reader.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;
using data::ImageShape;
using data::Picture;
using nlohmann::json;

// A model of small images, hardly trained, and the folder of the images.
class TinyModel {
 public:
  explicit TinyModel(const ImageShape& shape = {8, 8, 1}, const Arguments& settings = {}) {
    images_ = data::draw_images(shape, 9, "test", 1);
    data::write_image_folder(runs_ / "images", data::draw_images(shape, 20, "train", 1), images_);
    write_text(runs_.config(),
               message("[task]\nkind = \"images\"\ndata = \"", (runs_ / "images").string(),
                       "\"\nsequence_length = ", shape.values() - 1,
                       "\nmixtures = 3\nvalidation = 4\n\n"
                       "[model]\nlayers = 2\nheads = 2\nhead_dim = 8\n\n"
                       "[train]\nbatch_size = 4\nsteps = 3\neval_batches = 1\n"));
    run_ok(runs_.train("run", settings));
  }

  fs::path operator/(const std::string& name) const { return runs_ / name; }
  Picture image(std::int64_t index) const {
    const auto values = images_.image(index);
    return {images_.shape, {values.begin(), values.end()}};
  }

  Arguments generate(const std::string& out, const Arguments& more) const {
    Arguments arguments{"generate", runs_ / "run", "--out", runs_ / out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  // The pictures that a command writes.
  std::vector<Picture> pictures(const std::string& out, const Arguments& more) const {
    run_ok(generate(out, more));
    return read(out);
  }
  // All but the sheet, in the order of their numbers, which have no gap.
  std::vector<Picture> read(const std::string& out) const {
    std::vector<Picture> all;
    for (fs::path file = name(out, 0); fs::exists(file);
         file = name(out, static_cast<int>(all.size()))) {
      all.push_back(read_png(read_file(file)));
    }
    const auto files = std::distance(fs::directory_iterator(runs_ / out), {});
    CHECK(files == static_cast<std::ptrdiff_t>(all.size()) + 1);
    CHECK(fs::exists(sheet(out)));
    return all;
  }
  fs::path sheet(const std::string& out) const { return runs_ / out / "sheet.png"; }

 private:
  fs::path name(const std::string& out, int number) const {
    char text[16];
    std::snprintf(text, sizeof text, "%04d.png", number);
    return runs_ / out / text;
  }

  TinyRuns runs_;
  data::ImageSet images_;
};

bool same(const std::vector<Picture>& a, const std::vector<Picture>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.shape == y.shape && x.values == y.values;
  });
}

TEST_CASE("generate: an image is the same whatever the batch, in every mode") {
  for (const auto& [attention, modes] : {std::pair{"causal-linear", Arguments{"recurrent", "full"}},
                                         std::pair{"full", Arguments{"cached", "full"}}}) {
    const TinyModel model({8, 8, 1}, {message("model.attention=", attention)});
    for (const std::string& mode : modes) {
      CAPTURE(mode);
      const auto made = [&](const char* batch) {
        return model.pictures(message(mode, batch),
                              {"--count", "5", "--mode", mode, "--batch", batch});
      };
      const std::vector<Picture> alone = made("1");
      REQUIRE(alone.size() == 5);
      CHECK(alone[0].shape == ImageShape{8, 8, 1});
      CHECK(alone[0].values[0] == 0);  // the value that is not predicted
      CHECK(alone[0].values != alone[1].values);
      CHECK(same(alone, made("3")));
      CHECK(same(alone, made("64")));
    }
    // Without --mode, the first of the kind's.
    CHECK(same(model.read(message(modes[0], "1")), model.pictures("default", {"--count", "5"})));
  }
}

TEST_CASE("generate: completions keep the given pixels, and the sheet shows what was kept") {
  for (const ImageShape& shape : {ImageShape{8, 8, 1}, ImageShape{5, 7, 1}, ImageShape{6, 6, 3}}) {
    CAPTURE(shape.str());
    const TinyModel model(shape);
    const fs::path images = model / "images";
    const auto completed = model.pictures(
        "keep", {"--count", "5", "--given", images, "--keep", "10", "--completions", "2"});
    REQUIRE(completed.size() == 5);
    std::vector<Picture> tiles;
    for (std::int64_t i = 0; i < 5; ++i) {
      const Picture original = model.image(i / 2);
      const Picture& picture = completed[static_cast<std::size_t>(i)];
      const auto kept = static_cast<std::ptrdiff_t>(10 * shape.channels);
      CHECK(picture.shape == shape);
      CHECK(std::equal(original.values.begin(), original.values.begin() + kept,
                       picture.values.begin()));
      CHECK(picture.values != original.values);
      if (i % 2 == 0) {
        Picture occluded = original;
        std::fill(occluded.values.begin() + kept, occluded.values.end(), 128);
        tiles.push_back(original);
        tiles.push_back(occluded);
      }
      tiles.push_back(picture);
    }
    CHECK(completed[0].values != completed[1].values);  // of the same original
    const Picture sheet = read_png(read_file(model.sheet("keep")));
    CHECK(same({sheet}, {data::contact_sheet(tiles, 4)}));

    // The upper half, and the odd row with it, unless --keep says else.
    const std::int64_t half = (shape.height + 1) / 2 * shape.width;
    CHECK(same(model.pictures("half", {"--count", "2", "--given", images}),
               model.pictures(
                   "said", {"--count", "2", "--given", images, "--keep", std::to_string(half)})));
  }
}

TEST_CASE("generate: samples stand in a square grid, from the shape that the length makes") {
  const TinyModel model({6, 6, 3});
  const auto pictures = model.pictures("out", {"--count", "5"});
  REQUIRE(pictures.size() == 5);
  CHECK(pictures[0].shape == ImageShape{6, 6, 3});
  const Picture sheet = read_png(read_file(model.sheet("out")));
  CHECK(same({sheet}, {data::contact_sheet(pictures, 3)}));
}

TEST_CASE("generate: seed, temperature and sampler choose the values") {
  const TinyModel model;
  const auto made = [&](const Arguments& more) {
    static int number = 0;
    Arguments arguments{"--count", "3"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return model.pictures(message("out", number++), arguments);
  };
  const auto plain = made({});
  CHECK(same(plain, made({"--seed", "1", "--temperature", "1", "--sampler", "exact"})));
  CHECK_FALSE(same(plain, made({"--seed", "2"})));
  CHECK_FALSE(same(plain, made({"--temperature", "0.5"})));
  CHECK_FALSE(same(plain, made({"--sampler", "compat"})));
  const auto likeliest = made({"--temperature", "0"});
  CHECK(same(likeliest, made({"--temperature", "0", "--seed", "2"})));
  CHECK(likeliest[0].values == likeliest[1].values);
}

TEST_CASE("generate: a categorical head") {
  const TinyModel model({8, 8, 1}, {"model.head=categorical"});
  const auto pictures = model.pictures("out", {"--count", "3"});
  REQUIRE(pictures.size() == 3);
  CHECK(pictures[0].values != pictures[1].values);
  CHECK(same(pictures, model.pictures("alone", {"--count", "3", "--batch", "1"})));
}

TEST_CASE("generate: weights in bf16, by a model that was trained with f32") {
  for (const char* attention : {"model.attention=causal-linear", "model.attention=full"}) {
    CAPTURE(attention);
    const TinyModel model({8, 8, 1}, {attention});
    const fs::path file = model / "figures.json";
    const auto plain = model.pictures("plain", {"--count", "5"});
    const Arguments bf16{"--count", "5", "--set", "model.weights=bf16", "--json", file};
    const auto rounded = model.pictures("rounded", bf16);
    CHECK_FALSE(same(plain, rounded));
    CHECK(json::parse(read_file(file))["weights"] == "bf16");
    Arguments alone = bf16;
    alone.insert(alone.end(), {"--batch", "1"});
    CHECK(same(rounded, model.pictures("alone", alone)));
  }
}

TEST_CASE("generate: figures on standard output and in a JSON file") {
  const TinyModel model;
  const fs::path file = model / "figures.json", images = model / "images";
  const Outcome outcome =
      run_ok(model.generate("out", {"--count", "4", "--batch", "3", "--given", images, "--keep",
                                    "10", "--temperature", "0.9", "--seed", "5", "--json", file}));
  CHECK(contains(outcome.out, "4 images of 8x8 by mode recurrent in "));
  CHECK(contains(outcome.out, "images_per_s "));
  CHECK(contains(outcome.out, "s_per_image "));
  const json figures = json::parse(read_file(file));
  CHECK(contains(figures["checkpoint"], "step_000000003"));
  CHECK(figures["step"] == 3);
  CHECK(figures["attention"] == "causal-linear");
  CHECK(figures["mode"] == "recurrent");
  CHECK(figures["weights"] == "f32");
  CHECK(figures["sampler"] == "exact");
  CHECK(figures["temperature"] == 0.9);
  CHECK(figures["seed"] == 5);
  CHECK(figures["shape"] == json{8, 8, 1});
  CHECK(figures["given_values"] == 10);
  CHECK(figures["batch"] == 3);
  CHECK(figures["threads"] == 1);
  CHECK(figures["images"] == 4);
  const double seconds = figures["seconds"];
  CHECK(seconds > 0);
  CHECK(figures["images_per_s"].get<double>() == doctest::Approx(4 / seconds));
  CHECK(figures["s_per_image"].get<double>() == doctest::Approx(seconds / 4));
}

// Exit code 2, a line with all the parts, and no folder.
void check_refused(const TinyModel& model, const Arguments& more,
                   const std::vector<std::string>& parts) {
  Arguments arguments = model.generate("refused", {"--count", "4"});
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Outcome outcome = run_program(arguments);
  INFO(outcome.err);
  CHECK(outcome.code == 2);
  CHECK_FALSE(fs::exists(model / "refused"));
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(contains(outcome.err, part));
  }
}

TEST_CASE("generate: what cannot be given or kept") {
  const TinyModel model;
  const fs::path images = model / "images", other = model / "other";
  check_refused(model, {"--given", images, "--keep", "64"},
                {"tarn: --keep 64", "an image of 8x8 has 64 pixels, so that 1 to 63 can be kept"});
  check_refused(model, {"--given", images, "--keep", "0"}, {"--keep is \"0\""});
  check_refused(model, {"--given", images, "--keep", "-3"}, {"--keep is \"-3\""});
  check_refused(model, {"--keep", "3"}, {"--keep", "of --given"});
  check_refused(model, {"--completions", "3"}, {"--completions", "of --given"});
  check_refused(model, {"--given", model / "none"}, {"none"});
  data::write_image_folder(other, data::draw_images({8, 9, 1}, 3, "train", 1),
                           data::draw_images({8, 9, 1}, 3, "test", 1));
  check_refused(model, {"--given", other}, {"its images of 8x9 have 72 values", "64"});
  Arguments many = model.generate("refused", {"--count", "10", "--given", images});
  const Outcome outcome = run_program(many);
  CHECK(outcome.code == 2);
  CHECK(contains(outcome.err, "has 9 test images; --count 10 with --completions 1 needs 10"));
  many.insert(many.end(), {"--completions", "2"});
  run_ok(many);
}

TEST_CASE("generate: a shape that no data told and the length does not is --given's to tell") {
  const TinyModel model({5, 7, 1}, {"train.steps=0"});
  check_refused(model, {}, {"35 values", "no square image", "--given"});
  CHECK(model.pictures("out", {"--count", "1", "--given", model / "images"})[0].shape ==
        ImageShape{5, 7, 1});
  const TinyModel trained({5, 7, 1});
  CHECK(trained.pictures("out", {"--count", "1"})[0].shape == ImageShape{5, 7, 1});
}

TEST_CASE("generate: images of two channels are refused before the work") {
  const TinyRuns runs;
  const std::string images = runs / "images";
  fs::create_directory(images);
  for (const char* part : {"train", "t10k"}) {
    write_bytes(fs::path(images) / message(part, "-images-idx4-ubyte"),
                idx_bytes({9, 4, 4, 2}, made_values(9, 32)));
  }
  run_ok(runs.train("run", {"task.kind=images", "task.sequence_length=31", "task.data=" + images,
                            "task.validation=2", "train.steps=1", "train.eval_batches=1"}));
  const Outcome outcome = run_program(
      {"generate", runs / "run", "--count", "1", "--given", images, "--out", runs / "out"});
  INFO(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(contains(outcome.err, "4x4x2"));
  CHECK(contains(outcome.err, "1 channel (grey) or 3 (RGB)"));
  CHECK_FALSE(fs::exists(runs / "out"));
}

TEST_CASE("generate: a mode that the attention lacks") {
  const TinyModel linear;
  check_refused(linear, {"--mode", "cached"},
                {"tarn: --mode cached", "\"causal-linear\"", "recurrent and full"});
  const TinyModel softmax({8, 8, 1}, {"model.attention=full"});
  check_refused(softmax, {"--mode", "recurrent"},
                {"tarn: --mode recurrent", "\"full\"", "cached and full"});
  check_refused(linear, {"--mode", "quick"}, {"--mode"});
}

TEST_CASE("generate: weights in bf16 are read by steps alone") {
  const Arguments bf16{"--set", "model.weights=bf16", "--mode", "full"};
  check_refused(TinyModel(), bf16, {"model.weights is \"bf16\"", "mode full runs all positions"});
  check_refused(TinyModel({8, 8, 1}, {"model.attention=lsh"}), {bf16[0], bf16[1]},
                {"mode full, the only one of attention \"lsh\", runs all positions"});
}

TEST_CASE("generate: numbers that are none, and a folder or a checkpoint that is none") {
  const TinyModel model;
  for (const char* temperature : {"-0.5", "nan", "inf"}) {
    check_refused(model, {"--temperature", temperature}, {"--temperature", "at least 0"});
  }
  check_refused(model, {"--batch", "0"}, {"--batch"});
  check_refused(model, {"--sampler", "theirs"}, {"--sampler"});
  CHECK(
      run_program({"generate", model / "none", "--count", "1", "--out", model / "refused"}).code ==
      2);
  CHECK(run_program({"generate", model / "run", "--count", "1"}).code == 2);
}

TEST_CASE("generate: a checkpoint of another task") {
  const TinyModel model;
  const TinyRuns copies;
  run_ok(copies.train("run", {"train.steps=1"}));
  const Outcome outcome =
      run_program({"generate", copies / "run", "--count", "1", "--out", model / "refused"});
  INFO(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(contains(outcome.err, "task.kind is \"copy\"; only models of images generate"));
  CHECK_FALSE(fs::exists(model / "refused"));
}

TEST_CASE("generate: a folder with other files is left as it is, and an empty one is taken") {
  const TinyModel model;
  fs::create_directory(model / "out");
  CHECK(model.pictures("out", {"--count", "2"}).size() == 2);
  const auto before = snapshot(model / "out");
  const Outcome again = run_program(model.generate("out", {"--count", "2"}));
  CHECK(again.code == 2);
  CHECK(contains(again.err, "out is not empty"));
  CHECK(snapshot(model / "out") == before);
  write_text(model / "file", "text");
  const Outcome file = run_program(model.generate("file", {"--count", "2"}));
  CHECK(file.code == 2);
  CHECK(contains(file.err, "file"));
  CHECK(read_file(model / "file") == "text");
}

TEST_CASE("generate: a signal ends it, and what is written is whole") {
  const TinyModel model;
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string out = message("out", signal);
    Program program(model.generate(out, {"--count", "100000", "--batch", "1"}));
    REQUIRE(wait_until([&] { return fs::exists(model / out / "0003.png"); }));
    program.send(signal);
    const Outcome outcome = program.wait();
    INFO(outcome.err);
    CHECK(outcome.code == 128 + signal);
    const auto pictures = model.read(out);
    CHECK(pictures.size() >= 4);
    CHECK(contains(outcome.err,
                   message("stopped by ", signal == SIGINT ? "Ctrl-C" : "SIGTERM (terminate)",
                           " after ", pictures.size(), " of 100000 images")));
    CHECK(same(pictures, model.pictures(message("whole", signal),
                                        {"--count", std::to_string(pictures.size())})));
  }
}

TEST_CASE("generate: a signal before the first image leaves an empty folder") {
  const TinyModel model;
  Program program(model.generate("out", {"--count", "20000", "--batch", "20000"}));
  REQUIRE(program.wait_for("value "));
  program.send(SIGINT);
  CHECK(program.wait().code == 128 + SIGINT);
  CHECK(fs::is_empty(model / "out"));
}

// Rounding may change a draw that falls on the edge between two values; on the emulated device none
// of these does.
TEST_CASE("generate: other devices make the CPU's images") {
  for (const Device device : devices()) {
    if (device == Device::cpu()) continue;
    for (const Arguments& kind :
         {Arguments{}, Arguments{"model.head=categorical"}, Arguments{"model.attention=full"}}) {
      const TinyModel model({8, 8, 1}, kind);
      for (const std::string mode : {"fastest", "full"}) {
        CAPTURE(mode);
        Arguments more = {"--count", "5", "--batch", "3"};
        if (mode == "full") more.insert(more.end(), {"--mode", mode});
        Arguments other = more;
        other.insert(other.end(), {"--set", "run.device=" + device.str()});
        const std::string name = "out_" + mode;
        const auto expected = model.pictures(name, more);
        CHECK(same(model.pictures(name + "_device", other), expected));
      }
    }
  }
}

}  // namespace
}  // namespace tarn::test
