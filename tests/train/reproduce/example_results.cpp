#include "tests/train/reproduce/example_results.h"

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>

#include "data/png.h"
#include "tests/support/text_file.h"

namespace tarn::test {
namespace {

using namespace train::reproduce;  // NOLINT(google-build-using-namespace)

constexpr std::int64_t kSeeds = 3;

RowResult row(const std::string& name, const std::string& title, const std::string& experiment,
              double seconds) {
  RowResult row;
  row.name = name;
  row.title = title;
  row.config = "experiments/" + experiment + "/paper.toml";
  row.set = {"model.attention=\"" + name + "\"", "train.steps=20000", "train.batch_size=8"};
  row.config_hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
  row.seconds = seconds;
  return row;
}

// A loss that falls from `start` to `end`, with a ripple, at `points` steps.
std::vector<Point> falling(double start, double end, double speed, int points, double stride) {
  std::vector<Point> curve;
  for (int i = 1; i <= points; ++i) {
    const double done = 1 - std::exp(-speed * i / points);
    const double ripple = 1 + 0.08 * std::sin(1.7 * i) * (1 - 0.7 * i / points);
    curve.emplace_back(stride * i, start * std::pow(end / start, done) * ripple);
  }
  return curve;
}

// Milliseconds, or whatever it is, of lengths 512 .. last, growing with this power of the length.
std::vector<Point> growing(double first, double power, double last) {
  std::vector<Point> curve;
  for (double length = 512; length <= last; length *= 2) {
    curve.emplace_back(length, first * std::pow(length / 512, power));
  }
  return curve;
}

ExperimentResult figure1() {
  ExperimentResult figure;
  figure.name = "figure1";
  figure.title = "Time and memory of attention by length";
  figure.place = "Figure 1";
  figure.about =
      "Forward and backward of one attention layer on random input, causal, 8 heads of 32. The "
      "paper "
      "prints no numbers and does not say how many heads there were; here all run on one "
      "processor, "
      "where each method stops at the length that would take more than a minute.";
  figure.seconds = 1290;
  const auto add = [&](const std::string& name, const std::string& title, double ms, double mb,
                       double power, double last) {
    RowResult row;
    row.name = name;
    row.title = title;
    row.values["slope"] = {power, 0, 1};
    row.curves["time"] = growing(ms, power, last);
    row.curves["memory"] = growing(mb, name == "softmax" ? 1.02 : 1, last);
    figure.rows.push_back(row);
  };
  add("softmax", "Softmax", 4.1, 2.2, 1.94, 8192);
  add("lsh-1", "LSH, 1 round", 5.6, 3.1, 1.06, 32768);
  add("lsh-4", "LSH, 4 rounds", 19.4, 8.9, 1.07, 32768);
  add("linear", "Linear", 1.8, 1.9, 1.01, 65536);
  figure.columns.push_back({"slope", "Growth (power of the length)", 2, {}});
  figure.charts.push_back({"time", "Time per sample", "length", "milliseconds", true, true});
  figure.charts.push_back({"memory", "Peak memory per sample", "length", "MB", true, true});
  figure.claims.push_back({"linear attention's time grows linearly with the length",
                           "Section 4.1",
                           "slope.linear < 1.1",
                           Verdict::holds,
                           {{"slope.linear", 1.0132}},
                           ""});
  figure.claims.push_back({"softmax attention's grows with its square",
                           "Section 3.2",
                           "slope.softmax > 1.8 and slope.softmax < 2.2",
                           Verdict::holds,
                           {{"slope.softmax", 1.9417}},
                           ""});
  return figure;
}

ExperimentResult figure2() {
  ExperimentResult figure;
  figure.name = "figure2";
  figure.title = "Convergence on the copy task";
  figure.place = "Figure 2";
  figure.about =
      "Sequences of at most 128 symbols are to be repeated after a separator: 4 layers, 8 heads, "
      "RAdam, as in the paper, with three seeds.";
  figure.seconds = 14300;
  const auto add = [&](const std::string& name, const std::string& title, double end) {
    RowResult one = row(name, title, "copy_task", 4700);
    one.values["loss"] = {end, 0.18 * end, kSeeds};
    one.values["accuracy"] = {100 - 40 * end, 6 * end, kSeeds};
    one.curves["loss"] = falling(2.4, end, 4, 100, 100);
    figure.rows.push_back(one);
  };
  add("softmax", "Softmax", 0.00031);
  add("linear", "Linear", 0.00035);
  add("lsh-4", "LSH, 4 rounds", 0.071);
  figure.columns.push_back({"loss", "Loss at the end (nats)", 5, {}});
  figure.columns.push_back({"accuracy", "Right symbols (%)", 2, {}});
  figure.charts.push_back(
      {"loss", "Training loss, mean of the seeds", "step", "nats", false, true});
  figure.claims.push_back({"linear attention ends at softmax's loss",
                           "Section 4.1.1",
                           "loss.linear <= 1.05 * loss.softmax",
                           Verdict::does_not_hold,
                           {{"loss.linear", 0.00035}, {"loss.softmax", 0.00031}},
                           ""});
  figure.claims.push_back({"and below that of LSH attention",
                           "Section 4.1.1",
                           "loss.linear < loss.lsh-4",
                           Verdict::holds,
                           {{"loss.linear", 0.00035}, {"loss.lsh-4", 0.071}},
                           ""});
  return figure;
}

ExperimentResult table1() {
  ExperimentResult table;
  table.name = "table1";
  table.title = "MNIST, value by value";
  table.place = "Tables 1, 4 and 5";
  table.about =
      "Images are predicted value by value: 8 layers, 8 heads, a mixture of 10 logistics. The "
      "paper "
      "trains for 250 epochs; at this scale it is a hundredth of that, so that bits per dimension "
      "are "
      "compared between methods, not with the paper's.";
  table.seconds = 201600;
  const auto add = [&](const std::string& name, const std::string& title, double bits, double speed,
                       double cpu_seconds) {
    RowResult one = row(name, title, "mnist", 49200);
    if (bits > 0) one.values["bits"] = {bits, 0.004, kSeeds};
    one.values["images"] = {speed, 0, 1};
    one.values["seconds"] = {cpu_seconds, 0.06 * cpu_seconds, kSeeds};
    if (bits > 0) one.curves["bits"] = falling(3.2, bits, 5, 60, 1000);
    table.rows.push_back(one);
  };
  add("softmax", "Softmax", 0.982, 0.021, 61.3);
  add("stateful-softmax", "Softmax, keys and values kept", 0, 1.74, 5.1);
  add("lsh-1", "LSH, 1 round", 1.214, 0.033, 38.2);
  RowResult lsh4 = row("lsh-4", "LSH, 4 rounds", "mnist", 0);
  lsh4.missing = "runs at the scale \"paper\" only";
  table.rows.push_back(lsh4);
  add("linear", "Linear", 1.003, 31.8, 2.9);
  table.columns.push_back({"bits",
                           "Bits per dimension",
                           3,
                           {{"softmax", 0.621},
                            {"stateful-softmax", 0.621},
                            {"lsh-1", 0.745},
                            {"lsh-4", 0.676},
                            {"linear", 0.644}}});
  table.columns.push_back({"images",
                           "Images per second",
                           2,
                           {{"softmax", 0.45},
                            {"stateful-softmax", 7.56},
                            {"lsh-1", 0.68},
                            {"lsh-4", 0.27},
                            {"linear", 142.8}}});
  table.columns.push_back({"seconds",
                           "Seconds for one image on a processor",
                           1,
                           {{"softmax", 72.6},
                            {"stateful-softmax", 7.4},
                            {"lsh-1", 46.0},
                            {"lsh-4", 112.0},
                            {"linear", 5.5}}});
  table.charts.push_back({"bits", "Bits per dimension of the test images", "step",
                          "bits per dimension", false, false});
  table.claims.push_back({"linear attention is within 5 % of softmax's bits per dimension",
                          "Table 1",
                          "bits.linear <= 1.05 * bits.softmax",
                          Verdict::holds,
                          {{"bits.linear", 1.003}, {"bits.softmax", 0.982}},
                          ""});
  table.claims.push_back({"it generates more than 100 times as many images per second as softmax",
                          "Section 4.2.1",
                          "images.linear > 100 * images.softmax",
                          Verdict::holds,
                          {{"images.linear", 31.8}, {"images.softmax", 0.021}},
                          ""});
  table.claims.push_back({"LSH attention with 4 rounds predicts better than with 1",
                          "Table 1",
                          "bits.lsh-4 < bits.lsh-1",
                          Verdict::not_at_this_scale,
                          {},
                          "LSH, 4 rounds: runs at the scale \"paper\" only"});
  table.pictures.push_back({"Images by the linear model",
                            "Samples, drawn with a fixed seed from the checkpoint with the lowest "
                            "loss; none was chosen by hand.",
                            "pictures/samples.png", ""});
  table.pictures.push_back({"Completions", "Left: half of a test image; right: completions of it.",
                            "pictures/completions.svg", ""});
  table.pictures.push_back({"Images by the model with LSH attention", "", "",
                            "its row runs at the scale \"paper\" only"});
  return table;
}

ExperimentResult table3() {
  ExperimentResult table;
  table.name = "table3";
  table.title = "Speech: phonemes of WSJ";
  table.place = "Table 3";
  table.about = "Phonemes from 40 mel filterbanks by CTC.";
  table.missing =
      "the data is not here: WSJ is sold by the Linguistic Data Consortium (LDC93S6A and "
      "LDC94S13A); "
      "give its folder with --data wsj=FOLDER";
  for (const auto& [name, title] :
       {std::pair{"lstm", "Bi-LSTM"}, std::pair{"softmax", "Softmax"},
        std::pair{"lsh-4", "LSH, 4 rounds"}, std::pair{"linear", "Linear"}}) {
    RowResult one = row(name, title, "speech", 0);
    one.missing = "the data is not here";
    table.rows.push_back(one);
  }
  table.columns.push_back(
      {"per",
       "Phoneme error rate (%)",
       2,
       {{"lstm", 10.94}, {"softmax", 5.12}, {"lsh-4", 9.33}, {"linear", 8.08}}});
  table.columns.push_back({"epoch",
                           "Seconds per epoch",
                           0,
                           {{"lstm", 1047}, {"softmax", 2711}, {"lsh-4", 2250}, {"linear", 824}}});
  table.charts.push_back(
      {"per", "Error rate by time", "hours", "phoneme error rate (%)", false, false});
  table.claims.push_back({"linear attention errs less than the LSTM and more than softmax",
                          "Table 3",
                          "per.softmax < per.linear and per.linear < per.lstm",
                          Verdict::not_tested,
                          {},
                          "the data is not here"});
  return table;
}

}  // namespace

Results example_results() {
  Results results;
  results.scale = "cpu";
  results.machine = {
      "AMD EPYC 9R14", "AVX3_ZEN4", "OpenBLAS 0.3.21 SkylakeX", "cpu", "0.1.0", "23591d4c0b1e", 2};
  results.experiments = {figure1(), figure2(), table1(), table3()};
  return results;
}

void write_example_pictures(const std::filesystem::path& folder) {
  std::vector<data::Picture> digits(10, {{28, 28, 1}, std::vector<std::uint8_t>(28 * 28)});
  for (std::size_t i = 0; i < digits.size(); ++i) {
    for (int y = 0; y < 28; ++y) {
      for (int x = 0; x < 28; ++x) {
        const double distance = std::hypot(x - 14, (y - 14) * (0.5 + 0.1 * static_cast<double>(i)));
        const double ring = 255 * std::exp(-std::pow((distance - 8) / 2, 2));
        digits[i].values[static_cast<std::size_t>(y * 28 + x)] = static_cast<std::uint8_t>(ring);
      }
    }
  }
  std::filesystem::create_directories(folder / "pictures");
  write_text(folder / "pictures/samples.png", data::encode_png(data::contact_sheet(digits, 5)));
  write_text(folder / "pictures/completions.svg",
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 300 100\">"
             "<rect width=\"300\" height=\"100\" fill=\"#eee\"/>"
             "<circle cx=\"50\" cy=\"50\" r=\"30\" fill=\"#0072b2\"/>"
             "<circle cx=\"200\" cy=\"50\" r=\"40\" fill=\"#d55e00\"/></svg>\n");
}

Results odd_results() {
  const std::string odd = "<b>&amp; \"quoted\" 'single' `ls` $x_1$ | pipe * star_ [a](b) \\ é <!--";
  Results results;
  results.scale = odd;
  results.machine.processor = odd;
  ExperimentResult all;
  all.name = "odd name/../\"<x>";
  all.title = all.place = all.about = all.missing = odd + "\n</section><script>1</script>";
  RowResult row;
  row.name = row.title = row.config = row.config_hash = odd;
  row.set = {odd, "a\nb", ""};
  row.values["v"] = {std::numeric_limits<double>::quiet_NaN(), 0, 1};
  row.values["w"] = {-1234567.125, 0.5, 7};
  row.curves[odd] = {{1, 2}, {2, std::numeric_limits<double>::quiet_NaN()}, {3, -4}, {4, 5}};
  row.curves["negative"] = {{1, -1}, {2, 0}};
  row.curves["one point"] = {{7, 7}};
  all.rows = {row};
  row.name = row.title = "second";
  row.missing = odd;
  row.curves.clear();
  all.rows.push_back(row);
  all.columns = {{"v", odd, 0, {{odd, 0.5}}}, {"w", "", 12, {}}, {"none", "nobody has it", 1, {}}};
  all.charts = {{odd, odd, odd, odd, true, true},
                {"negative", "all below 0", "", "", true, true},
                {"one point", "a point", "x", "y", false, true},
                {"no curve", "none", "x", "y", false, false}};
  all.claims = {{odd, odd, odd, Verdict::does_not_hold, {{odd, -0.0}, {odd, 1e300}}, ""},
                {"", "", "", Verdict::not_tested, {}, odd}};
  all.pictures = {{odd, odd, "", odd}, {odd, odd, "no such file.png", ""}};
  results.experiments = {all, {}, {}};
  return results;
}

}  // namespace tarn::test
