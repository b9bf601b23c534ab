// What makes a config invalid: values out of their range, and values that contradict each other.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "train/config/config_keys.h"

namespace tarn::train {

bool Limits::holds(double value) const {
  return (open_low ? value > low : value >= low) && (open_high ? value < high : value <= high);
}

bool Limits::holds(std::string_view value) const {
  if (choices.empty()) return may_be_empty || !value.empty();
  for (std::string_view rest = choices; !rest.empty();) {
    const std::string_view choice = rest.substr(0, rest.find(", "));
    if (value == choice) return true;
    rest.remove_prefix(std::min(rest.size(), choice.size() + 2));
  }
  return false;
}

namespace {

// The range that f32 holds in full precision. Training would use another number in place of one
// beyond it.
constexpr double kSmallest = std::numeric_limits<float>::min();
constexpr double kLargest = std::numeric_limits<float>::max();

// How a value breaks its key's limits, "it must be in [0, 1)", or nothing if it keeps them.
std::string problem_of(const Key& key, const std::string* value) {
  return key.limits.holds(*value) ? "" : message("it must be ", limits_text(key));
}

std::string problem_of(const Key& /*key*/, const bool* /*value*/) { return ""; }

std::string problem_of(const Key& key, const double* value) {
  if (!std::isfinite(*value)) return "it must be finite";
  const double size = std::abs(*value);
  if (size != 0 && (size < kSmallest || size > kLargest)) {
    return message("it must be 0 or from ", kSmallest, " to ", kLargest,
                   " in size: f32, which training uses, makes it ", size < 1 ? "0" : "infinite");
  }
  return key.limits.holds(*value) ? "" : message("it must be ", limits_text(key));
}

std::string problem_of(const Key& key, const std::int64_t* value) {
  const bool held = key.limits.holds(static_cast<double>(*value));
  return held ? "" : message("it must be ", limits_text(key));
}

std::string problem_of(const Key& key, const std::uint64_t* value) {
  const bool held = *value <= std::numeric_limits<std::int64_t>::max();
  return held ? "" : message("it must be ", limits_text(key));
}

std::string problem_of(const Key& key, const std::vector<std::int64_t>* values) {
  const bool held = std::all_of(values->begin(), values->end(), [&](std::int64_t value) {
    return key.limits.holds(static_cast<double>(value));
  });
  return held ? "" : message("each entry must be ", limits_text(key));
}

std::optional<ConfigProblem> range_problem(const Config& config) {
  Config copy = config;
  for (const Key& key : keys()) {
    const Field field = key.field(copy);
    const std::string text =
        std::visit([&](const auto* value) { return problem_of(key, value); }, field);
    if (text.empty()) continue;
    const std::string name = key.full_name();
    return ConfigProblem{{name}, message(name, " is ", value_text(field), "; ", text)};
  }
  return std::nullopt;
}

// The name is a folder under runs/, and must not lead elsewhere.
std::optional<ConfigProblem> name_problem(const std::string& name) {
  const bool folder =
      !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
  if (folder) return std::nullopt;
  return ConfigProblem{
      {"run.name"},
      message("run.name is \"", name,
              "\"; it must be the name of one folder, which is made under runs/: not "
              "empty, . or .., and without a slash; --out names any other folder")};
}

// A sequence holds n symbols, a separator and the n symbols again. n is drawn from these, as in the
// authors' script: from a quarter of the length up to what fits.
std::int64_t fewest_copied(std::int64_t length) { return length / 4; }
std::int64_t most_copied(std::int64_t length) { return (length - 1) / 2 - 1; }

std::optional<ConfigProblem> copy_task_contradiction(const Config& c) {
  const std::int64_t length = c.task.sequence_length;
  if (fewest_copied(length) < 1 || most_copied(length) < fewest_copied(length)) {
    return ConfigProblem{{"task.sequence_length"},
                         message("task.sequence_length is ", length,
                                 ", too short for the copy task, which needs at least 5")};
  }
  return std::nullopt;
}

// Copying and images predict what follows from what came before; speech is read as a whole.
std::optional<ConfigProblem> attention_contradiction(const Config& c) {
  const std::string& attention = c.model.attention;
  if (c.task.kind == "speech") {
    if (attention != "causal-linear" || c.model.kind != "transformer") return std::nullopt;
    return ConfigProblem{{"model.attention", "task.kind"},
                         "model.attention is \"causal-linear\", which sees the past only; use "
                         "linear, full or lsh for speech"};
  }
  if (attention != "linear") return std::nullopt;
  const bool copies = c.task.kind == "copy";
  return ConfigProblem{{"model.attention", "task.kind"},
                       message("model.attention is \"linear\", which sees the ",
                               copies ? "symbols that the copy" : "values that the images",
                               " task asks for; use causal-linear, full or lsh")};
}

// The LSTM's recurrent products are its own kernel's, which knows no bf16.
std::optional<ConfigProblem> compute_contradiction(const ModelConfig& m) {
  if (m.compute == "f32" || m.kind == "transformer") return std::nullopt;
  return ConfigProblem{
      {"model.compute", "model.kind"},
      message("model.compute is \"", m.compute, "\", which is for transformers; model.kind \"",
              m.kind, "\" computes in f32")};
}

std::optional<ConfigProblem> kind_contradiction(const Config& c) {
  if (c.model.kind == "transformer" || c.task.kind == "speech") return std::nullopt;
  return ConfigProblem{{"model.kind", "task.kind"},
                       message("model.kind is \"", c.model.kind,
                               "\", which reads a sequence in both "
                               "directions; task.kind \"",
                               c.task.kind, "\" needs a transformer")};
}

std::optional<ConfigProblem> model_contradiction(const ModelConfig& m) {
  if (m.heads * m.head_dim % 2 != 0) {
    return ConfigProblem{
        {"model.head_dim", "model.heads"},
        message("model.heads * model.head_dim is ", m.heads * m.head_dim,
                "; it must be even: half is the token's embedding, half the position")};
  }
  return std::nullopt;
}

std::optional<ConfigProblem> schedule_contradiction(const ScheduleConfig& s, const TrainConfig& t) {
  const auto later = [](std::int64_t a, std::int64_t b) { return a >= b; };
  if (std::adjacent_find(s.milestones.begin(), s.milestones.end(), later) != s.milestones.end()) {
    std::vector<std::int64_t> milestones = s.milestones;
    return ConfigProblem{{"schedule.milestones"},
                         message("schedule.milestones is ", value_text(Field(&milestones)),
                                 "; each entry must be greater than the one before")};
  }
  if (s.warmup_steps > 0 && s.kind != "cosine") {
    return ConfigProblem{
        {"schedule.warmup_steps", "schedule.kind"},
        message("schedule.warmup_steps is ", s.warmup_steps, ", but schedule.kind is \"", s.kind,
                "\"; only cosine has a warm-up")};
  }
  if (t.steps == 0) return std::nullopt;  // the checks below are about the length of the run
  if (s.warmup_steps > t.steps) {
    return ConfigProblem{{"schedule.warmup_steps", "train.steps"},
                         message("schedule.warmup_steps is ", s.warmup_steps,
                                 ", but train.steps is only ", t.steps)};
  }
  if (s.kind == "plateau" && t.eval_every > t.steps) {
    return ConfigProblem{{"train.eval_every", "schedule.kind", "train.steps"},
                         message("schedule.kind is \"plateau\", which needs evaluations, but "
                                 "train.eval_every is ",
                                 t.eval_every, " and train.steps only ", t.steps)};
  }
  return std::nullopt;
}

// Speech cuts a batch by its utterances, of which there may be any number.
std::optional<ConfigProblem> shards_contradiction(const Config& c) {
  if (c.task.kind == "speech" || c.train.shards <= c.train.batch_size) return std::nullopt;
  return ConfigProblem{{"train.shards", "train.batch_size"},
                       message("train.shards is ", c.train.shards, ", but train.batch_size only ",
                               c.train.batch_size, "; each part has a sequence at least")};
}

}  // namespace

std::optional<ConfigProblem> first_problem(const Config& config) {
  if (auto found = range_problem(config)) return found;
  if (auto found = name_problem(config.run.name)) return found;
  if (auto found = model_contradiction(config.model)) return found;
  if (config.task.kind == "copy") {
    if (auto found = copy_task_contradiction(config)) return found;
  }
  if (auto found = attention_contradiction(config)) return found;
  if (auto found = kind_contradiction(config)) return found;
  if (auto found = shards_contradiction(config)) return found;
  if (auto found = compute_contradiction(config.model)) return found;
  return schedule_contradiction(config.schedule, config.train);
}

void validate(const Config& config) {
  if (const auto found = first_problem(config)) fail<ConfigError>(found->text);
}

}  // namespace tarn::train
