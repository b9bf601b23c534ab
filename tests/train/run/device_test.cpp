// Training on other devices than the CPU: the CPU's losses, and the same bytes after a resume.
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/drawn_images.h"
#include "tests/support/devices.h"
#include "tests/support/image_files.h"
#include "tests/train/json_lines.h"
#include "tests/train/tiny_speech.h"

namespace tarn::test {
namespace {

using nlohmann::json;

// The settings of a run on a device.
Arguments on(Device device, Arguments settings) {
  settings.push_back("run.device=" + device.str());
  return settings;
}

// Calls f for each device but the CPU.
template <class F>
void for_other_devices(const F& f) {
  for (const Device device : devices()) {
    if (device == Device::cpu()) continue;
    CAPTURE(device.str());
    f(device);
  }
}

// Both runs have the same lines, with every number within the tolerance.
void check_follows(const std::filesystem::path& run, const std::filesystem::path& cpu) {
  const std::vector<json> lines = json_lines(log_of(run)), expected = json_lines(log_of(cpu));
  REQUIRE(lines.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const json all = lines[i].flatten(), other = expected[i].flatten();
    REQUIRE(all.size() == other.size());
    for (const auto& item : all.items()) {
      const std::string key = item.key();
      const double difference = std::abs(item.value().get<double>() - other.at(key).get<double>());
      CAPTURE(key);
      CAPTURE(lines[i].at("step").get<int>());
      CHECK(difference < (key.find("loss") != std::string::npos ? 1e-4 : 1e-2));
      if (key == "/loss") worst = std::max(worst, difference);
    }
  }
  MESSAGE("the losses of ", lines.size(), " lines are within ", worst);
}

const Arguments kCopy = {"train.steps=50",      "train.log_every=1",
                         "train.eval_every=25", "train.checkpoint_every=10",
                         "model.dropout=0.1",   "train.accumulate=2"};

// A config of a small model of images, and the folder that it names.
Arguments image_settings(const TinyRuns& runs, const std::string& head) {
  const data::ImageShape shape{6, 5, 1};
  data::write_image_folder(runs / "images", data::draw_images(shape, 40, "train", 1),
                           data::draw_images(shape, 9, "test", 1));
  return {"task.kind=images",
          "task.data=" + (runs / "images").string(),
          message("task.sequence_length=", shape.values() - 1),
          "task.mixtures=3",
          "task.validation=4",
          "model.head=" + head,
          "model.layers=2",
          "train.steps=50",
          "train.log_every=1",
          "train.eval_every=25"};
}

TEST_CASE("device: a copy task follows the CPU's losses") {
  for (const char* attention : {"causal-linear", "full"}) {
    const TinyRuns runs;
    Arguments settings = kCopy;
    settings.push_back(message("model.attention=", attention));
    for_other_devices([&](Device device) {
      run_ok(runs.train("cpu", settings));
      run_ok(runs.train("device", on(device, settings)));
      check_follows(runs / "device", runs / "cpu");
    });
  }
}

TEST_CASE("device: models of images follow the CPU's losses") {
  for (const char* head : {"mixture", "categorical"}) {
    const TinyRuns runs;
    const Arguments settings = image_settings(runs, head);
    for_other_devices([&](Device device) {
      run_ok(runs.train("cpu", settings));
      run_ok(runs.train("device", on(device, settings)));
      check_follows(runs / "device", runs / "cpu");
    });
  }
}

TEST_CASE("device: models of speech follow the CPU's losses") {
  for (const std::string kind :
       {"attention=linear", "attention=full", "attention=lsh", "kind=bilstm"}) {
    CAPTURE(kind);
    const TinySpeech speech;
    const Arguments settings = {"model." + kind, "train.steps=50", "train.log_every=1",
                                "train.eval_every=25"};
    for_other_devices([&](Device device) {
      run_ok(speech.runs().train("cpu", settings));
      run_ok(speech.runs().train("device", on(device, settings)));
      check_follows(speech / "device", speech / "cpu");
    });
  }
}

TEST_CASE("device: a run that was killed goes on to the same bytes") {
  for_other_devices([&](Device device) {
    const TinyRuns runs;
    const Arguments settings = on(device, kCopy);
    run_ok(runs.train("whole", settings));
    const double whole = run_ok(runs.train("again", settings)).seconds;
    CHECK(run_difference(runs / "whole", runs / "again") == "");
    for (const double share : {0.3, 0.5, 0.7}) {
      run_and_kill(runs.go_on("killed", settings), share * whole);
    }
    run_ok(runs.go_on("killed", settings));
    CHECK(run_difference(runs / "whole", runs / "killed") == "");
  });
}

TEST_CASE("device: a checkpoint of one device goes on on another") {
  for_other_devices([&](Device device) {
    const TinyRuns runs;
    Arguments half = kCopy;
    half[0] = "train.steps=25";  // where it evaluates anyway
    run_ok(runs.train("cpu", kCopy));
    run_ok(runs.train("from_cpu", half));
    run_ok(runs.resume("from_cpu", on(device, kCopy)));
    check_follows(runs / "from_cpu", runs / "cpu");
    run_ok(runs.train("to_cpu", on(device, half)));
    run_ok(runs.resume("to_cpu", kCopy));
    check_follows(runs / "to_cpu", runs / "cpu");
  });
}

// The figures of a step are read when the next is under way: the error is of the right step all the
// same, and what is on the disk is of before it.
TEST_CASE("device: a loss that is not finite is told of with its step and its op") {
  for_other_devices([&](Device device) {
    const TinyRuns runs;
    const Arguments settings = {"optimizer.lr=1e30", "optimizer.max_grad_norm=0",
                                "train.checkpoint_every=1"};
    const Outcome cpu = run_program(runs.train("cpu", settings));
    const Outcome other = run_program(runs.train("device", on(device, settings)));
    INFO(cpu.err);
    INFO(other.err);
    CHECK(cpu.code == 1);
    CHECK(other.code == 1);
    const auto step_of = [](const std::string& text) {
      const std::size_t at = text.find("step ", text.find("tarn: "));
      return text.substr(at, text.find(" is not finite", at) - at);
    };
    CHECK(step_of(other.err) == step_of(cpu.err));
  });
}

}  // namespace
}  // namespace tarn::test
