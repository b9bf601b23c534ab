// How far a batch's gradients are from those in f64, as a whole, by layer and by parameter.
#include <cmath>
#include <map>

#include "bench/bench.h"
#include "train/run/progress.h"
#include "train/run/trainer.h"
#include "train/tasks/float_type.h"

namespace tarn::bench {
namespace {

using Numbers = std::vector<double>;

Numbers values_of(const Tensor& tensor) {
  const Tensor wide = train::in_float_type(copy_to(tensor, Device::cpu()), DType::f64);
  const double* first = wide.data<double>();
  return {first, first + wide.elements()};
}

void copy_weights(nn::Module& from, nn::Module& to) {
  const std::vector<ad::Parameter*> source = from.parameters(), target = to.parameters();
  for (std::size_t i = 0; i < source.size(); ++i) {
    const Tensor host = copy_to(source[i]->value(), Device::cpu());
    copy_into(train::in_float_type(host, target[i]->value().dtype()), target[i]->value());
  }
}

// Forward and backward of a training batch.
void run_batch(train::Task& task, const train::Config& config, std::int64_t index) {
  ad::Tape tape;
  train::ForwardResult result;
  {
    const ad::Recording recording = tape.record();
    result = task.train_batch(index, {},
                              {true, config.run.seed, static_cast<std::uint32_t>(index), false});
  }
  tape.backward(result.loss);
}

// The gradients of a training batch by the parameters' names.
using Gradients = std::map<std::string, Numbers>;
Gradients gradients_of(train::Task& task, const train::Config& config, std::int64_t index) {
  for (ad::Parameter* parameter : task.model().parameters()) parameter->clear_grad();
  run_batch(task, config, index);
  Gradients gradients;
  for (const ad::Parameter* parameter : task.model().parameters()) {
    if (parameter->has_grad()) gradients[parameter->name()] = values_of(parameter->grad());
  }
  return gradients;
}

// "transformer.layers.3" of what lies in a layer, else the module: a name without its last part.
std::string layer_of(const std::string& parameter) {
  const std::string list = ".layers.";
  const std::size_t at = parameter.find(list);
  return parameter.substr(
      0, at == std::string::npos ? parameter.rfind('.') : parameter.find('.', at + list.size()));
}

std::string whole_of(const std::string& /*parameter*/) { return "all"; }
std::string itself(const std::string& parameter) { return parameter; }

// Of some parameters together.
struct Distance {
  double squares = 0;              // of the reference
  std::vector<double> difference;  // for each type of products, the sum of squares
};

// The root of one sum of squares over that of another; of nothing, nothing is missed.
double ratio(double difference, double squares) {
  return difference == 0 ? 0 : std::sqrt(difference / squares);
}

// A row for each group of parameters: its share of the whole norm, and its error in each type.
void add_rows(const char* of, std::string (*group)(const std::string& parameter),
              const Gradients& reference, const std::vector<std::string>& computes,
              const std::vector<Gradients>& computed, Report& report) {
  std::map<std::string, Distance> groups;
  double whole = 0;
  for (const auto& [name, expected] : reference) {
    Distance& distance = groups[group(name)];
    distance.difference.resize(computed.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      whole += expected[i] * expected[i];
      distance.squares += expected[i] * expected[i];
      for (std::size_t c = 0; c < computed.size(); ++c) {
        const double difference = computed[c].at(name)[i] - expected[i];
        distance.difference[c] += difference * difference;
      }
    }
  }
  for (const auto& [name, distance] : groups) {
    Row row{{"bench", "gradients"}, {"of", of}, {"share", ratio(distance.squares, whole)}};
    for (std::size_t c = 0; c < computes.size(); ++c) {
      row.emplace_back(computes[c], ratio(distance.difference[c], distance.squares));
    }
    row.emplace_back("name", name);
    report.add(row);
  }
}

train::Config config_of(const GradientsOptions& options, const std::string& compute) {
  std::vector<std::string> set = options.set;
  set.push_back("model.compute=" + compute);
  return train::load_config(options.config, set);
}

}  // namespace

void gradients(const GradientsOptions& options, Report& report) {
  const train::Config config = config_of(options, "f32");
  const Device device = parse_device(config.run.device);
  train::announce(device);
  const auto trained = train::make_ready_task(config, device);
  const auto optimizer = train::optimizer_for(config, trained->model());
  for (std::int64_t step = 0; step < options.steps; ++step) {
    run_batch(*trained, config, step);
    optimizer->step(config.optimizer.lr);
  }
  const auto gradients_in = [&](const train::Config& with, DType dtype) {
    const auto task = train::make_ready_task(with, device, {}, dtype);
    copy_weights(trained->model(), task->model());
    return gradients_of(*task, with, options.steps);
  };
  const Gradients reference = gradients_in(config, DType::f64);
  std::vector<Gradients> computed;
  for (const std::string& compute : options.computes) {
    computed.push_back(gradients_in(config_of(options, compute), DType::f32));
  }
  const auto add = [&](const char* of, std::string (*group)(const std::string&)) {
    add_rows(of, group, reference, options.computes, computed, report);
  };
  add("whole", whole_of);
  add("layer", layer_of);
  add("parameter", itself);
}

}  // namespace tarn::bench
