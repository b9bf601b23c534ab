#include "train/generation/generate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "data/shard.h"
#include "kernels/backend.h"
#include "train/distributed/launch.h"
#include "train/generation/given_images.h"
#include "train/program/commands.h"
#include "train/run/alike.h"
#include "train/run/run_folder.h"
#include "train/run/shared_checkpoint.h"
#include "train/run/shared_work.h"
#include "train/run/signals.h"
#include "train/run/status_line.h"
#include "train/tasks/images.h"
#include "train/tasks/model.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

Config config_of(const SharedCheckpoint& checkpoint, const GenerateCommand& command) {
  Config config = checkpoint.config(command.set);
  TARN_CHECK_AS(ConfigError, config.task.kind == "images", checkpoint.name(), ": task.kind is \"",
                config.task.kind, "\"; only models of images generate");
  return config;
}

// Mode full, chosen or the only one of an attention that has no steps, reads the parameters.
void check_weights(const ModelConfig& model, GenerateMode mode) {
  if (mode != GenerateMode::full) return;
  const bool only = generate_modes(model.attention).size() == 1;
  check_f32_weights(
      model, only ? message("mode full, the only one of attention \"", model.attention, "\",")
                  : "mode full");
}

void check_numbers(const GenerateCommand& command) {
  TARN_CHECK_AS(ConfigError, std::isfinite(command.temperature) && command.temperature >= 0,
                "--temperature ", command.temperature, " must be a finite number, at least 0");
}

// Nothing is overwritten, and nothing mixed with what another run left.
void make_empty_directory(const fs::path& directory) {
  TARN_CHECK_AS(IoError, !fs::is_directory(directory) || fs::is_empty(directory), "--out ",
                directory.string(), " is not empty; choose another folder, or remove it");
  make_directories(directory);
}

std::string file_name(std::int64_t image) {
  char name[32];
  std::snprintf(name, sizeof name, "%04lld.png", static_cast<long long>(image));
  return name;
}

std::string values_of(const Tensor& images) {
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(images.elements()));
  for (std::int64_t i = 0; i < images.elements(); ++i) {
    bytes.push_back(static_cast<char>(images.data<std::int32_t>()[i]));
  }
  return bytes;
}

// Generates the images batch by batch, of which each process makes a part, and writes each batch as
// soon as it is there.
class Generation {
 public:
  Generation(const GenerateCommand& command, const GivenImages& given, Communicator& ranks)
      : command_(command), given_(given), ranks_(ranks) {}

  // Until all images are there, or a signal arrived: false.
  bool run(const Generator& generator) {
    const std::int64_t batches = (command_.count + command_.batch - 1) / command_.batch;
    const std::int64_t parts = ranks_.size();
    try {
      share_work(
          batches * parts, ranks_,
          [&](std::int64_t item) { return generate(generator, item / parts, item % parts); },
          [&](std::int64_t item, const std::string& values) {
            if (item % parts == 0) seconds_ += seconds_since(start_);
            write(values);
          });
      return true;
    } catch (const Interrupted&) {
      return false;
    }
  }

  void write_sheet() const {
    write_file_atomically(command_.out / "sheet.png", data::encode_png(given_.sheet(pictures_)));
  }

  std::int64_t done() const { return static_cast<std::int64_t>(pictures_.size()); }
  double seconds() const { return seconds_; }  // of generating, without reading and writing files

 private:
  using Clock = std::chrono::steady_clock;

  static double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  // The values of the images of a part of a batch.
  std::string generate(const Generator& generator, std::int64_t batch, std::int64_t part) {
    start_ = Clock::now();
    const std::int64_t before = batch * command_.batch;
    const std::int64_t size = std::min(command_.batch, command_.count - before);
    const auto [first, count] = data::range_of({part, ranks_.size()}, size);
    if (count == 0) return "";
    const Tensor values =
        generator.complete(given_.values(before + first, count), given_.shape().values(),
                           static_cast<std::uint32_t>(before + first), [&](std::int64_t position) {
                             if (status_.due())
                               status_.show(state(size, position, seconds_since(start_)));
                             return !ranks_.alone() || signal_received() == 0;
                           });
    if (!values.defined()) throw Interrupted();
    return values_of(values);
  }

  void write(const std::string& values) {
    const auto size = static_cast<std::size_t>(given_.shape().values());
    for (std::size_t first = 0; first < values.size(); first += size) {
      const auto from = values.begin() + static_cast<std::ptrdiff_t>(first);
      pictures_.push_back({given_.shape(), {from, from + static_cast<std::ptrdiff_t>(size)}});
      write_file_atomically(command_.out / file_name(done() - 1),
                            data::encode_png(pictures_.back()));
    }
  }

  // "images 32/64  eta 3 min 20 s  value 400/784": as if the next values took as long as those so
  // far.
  std::vector<std::string> state(std::int64_t batch, std::int64_t position, double seconds) const {
    const std::int64_t values = given_.shape().values();
    const double made =
        static_cast<double>(position - given_.kept()) / static_cast<double>(values - given_.kept());
    const double images = static_cast<double>(done()) + static_cast<double>(batch) * made;
    std::vector<std::string> fields{message("images ", done(), "/", command_.count)};
    if (images > 0) {
      const double left = static_cast<double>(command_.count) - images;
      fields.push_back("eta " + duration_text((seconds_ + seconds) / images * left));
    }
    fields.push_back(message("value ", position, "/", values));
    return fields;
  }

  const GenerateCommand& command_;
  const GivenImages& given_;
  Communicator& ranks_;
  StatusLine status_;
  std::vector<data::Picture> pictures_;  // of the first process
  Clock::time_point start_;              // of the batch
  double seconds_ = 0;
};

void write_record(const GenerateCommand& command, const GenerateOptions& options,
                  const GivenImages& given, const SharedCheckpoint& checkpoint,
                  const Config& config, const Generation& generation, int ranks) {
  const data::ImageShape& shape = given.shape();
  const auto images = static_cast<double>(generation.done());
  nlohmann::ordered_json record{{"checkpoint", checkpoint.name()},
                                {"step", checkpoint.step()},
                                {"attention", config.model.attention},
                                {"mode", name_of(options.mode)},
                                {"weights", config.model.weights},
                                {"sampler", command.sampler},
                                {"temperature", command.temperature},
                                {"seed", command.seed},
                                {"shape", {shape.height, shape.width, shape.channels}},
                                {"given_values", given.kept()},
                                {"batch", command.batch},
                                {"threads", kernels::cpu_backend().threads},
                                {"images", generation.done()},
                                {"seconds", generation.seconds()},
                                {"images_per_s", images / generation.seconds()},
                                {"s_per_image", generation.seconds() / images}};
  if (ranks > 1) record["ranks"] = ranks;
  write_file_atomically(command.json, record.dump(2) + "\n");
}

GenerateOptions options_of(const GenerateCommand& command, const Config& config) {
  const GenerateOptions options{
      find_generate_mode(command.mode, config.model.attention),
      config.model.head == "categorical",
      command.sampler == "compat" ? ad::LogisticScale::compat : ad::LogisticScale::exact,
      command.temperature,
      command.seed,
      step_storage(config.model)};
  check_weights(config.model, options.mode);
  return options;
}

GivenImages given_images(const GenerateCommand& command, const SharedCheckpoint& checkpoint,
                         const Config& config) {
  const auto keep = command.keep > 0 ? std::optional(command.keep) : std::nullopt;
  const DataFacts& trained = checkpoint.data();
  const auto shape = trained.find("images");
  GivenImages given(
      {command.given, keep, command.completions, command.count, config.task.sequence_length + 1,
       shape == trained.end() ? std::nullopt : data::parse_image_shape(shape->second)});
  check_same_data(trained, {{"images", given.shape().str()}}, checkpoint.name());
  TARN_CHECK_AS(ConfigError, given.shape().channels == 1 || given.shape().channels == 3,
                "images of ", given.shape(),
                " cannot be drawn: a PNG has 1 channel (grey) or 3 (RGB)");
  return given;
}

// What the processes must agree in, besides the config.
DataFacts facts_of(const GenerateCommand& command, const GivenImages& given) {
  return {{"the images of --given", given.checksum()},
          {"--count", std::to_string(command.count)},
          {"--batch", std::to_string(command.batch)},
          {"--keep", std::to_string(command.keep)},
          {"--completions", std::to_string(command.completions)},
          {"--temperature", std::to_string(command.temperature)},
          {"--seed", std::to_string(command.seed)},
          {"--mode", command.mode},
          {"--sampler", command.sampler}};
}

void check_outputs(const GenerateCommand& command) {
  // The record may be wanted in the folder that is made here.
  const auto folder_of = [](const fs::path& file) { return fs::weakly_canonical(file); };
  const bool inside = folder_of(command.json).parent_path() == folder_of(command.out);
  if (!command.json.empty() && !inside) check_result_file(command.json);
  make_empty_directory(command.out);
}

int generate(const GenerateCommand& command, Communicator& ranks) {
  const SharedCheckpoint checkpoint(command.target, ranks);
  Config config;
  GenerateOptions options;
  std::optional<GivenImages> given;
  std::optional<nn::SequencePredictor> model;
  ranks.together([&] {
    config = config_of(checkpoint, command);
    options = options_of(command, config);
    given.emplace(given_images(command, checkpoint, config));
    const Device device = ready_device(config, ranks);
    model.emplace(build_of(config, device), image_predictor_options(config));
  });
  checkpoint.load_model(*model);
  check_alike(ranks, config, [&] { return facts_of(command, *given); });
  ranks.together([&] {
    if (ranks.first()) check_outputs(command);
  });
  const SignalWatch watch;
  Generation generation(command, *given, ranks);
  const bool complete = generation.run(Generator(*model, options));
  ranks.together([&] {
    if (generation.done() == 0) return;
    generation.write_sheet();
    const double images = static_cast<double>(generation.done());
    std::printf("%lld images of %s by mode %s in %s: images_per_s %.4g  s_per_image %.4g\n",
                static_cast<long long>(generation.done()), given->shape().str().c_str(),
                std::string(name_of(options.mode)).c_str(),
                duration_text(generation.seconds()).c_str(), images / generation.seconds(),
                generation.seconds() / images);
    if (!command.json.empty()) {
      write_record(command, options, *given, checkpoint, config, generation, ranks.size());
    }
  });
  if (complete) return 0;
  std::fprintf(stderr, "stopped by %s after %lld of %lld images, which are written\n",
               signal_name(signal_received()).c_str(), static_cast<long long>(generation.done()),
               static_cast<long long>(command.count));
  return signal_exit_code(signal_received());
}

}  // namespace

int generate_command(const GenerateCommand& command) {
  check_numbers(command);
  return run_as_rank([&](Communicator& ranks) { return generate(command, ranks); });
}

}  // namespace tarn::train
