// The configuration of a run: plain structs, filled once from a TOML file and `--set` overrides,
// then only read. Whatever is wrong with either is a ConfigError that names the file, the line and
// the key. The defaults are the copy task as the paper's authors train it.
//
// A new key is a field here and a line in the table of train/config_keys.cpp; a new section is a
// struct here, a field of Config and a line in the table of sections.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::train {

struct RunConfig {
  std::string name = "run";
  std::uint64_t seed = 1;
  std::string device = "cpu";
  std::int64_t threads = 0;  // 0: as `tarn info` says
  bool tensorboard = false;
  std::int64_t timeout = 60;  // seconds; 0: none
  bool operator==(const RunConfig&) const = default;
};

struct TaskConfig {
  std::string kind = "copy";
  std::int64_t sequence_length = 128;
  std::int64_t symbols = 10;
  std::string data;                // images, speech: the folder with the files
  std::int64_t mixtures = 10;      // images
  std::int64_t validation = 5000;  // images held out from the end of the training set
  bool operator==(const TaskConfig&) const = default;
};

// Phones from speech. Paths are relative to task.data.
struct SpeechConfig {
  std::string train = "train";
  std::string validation = "valid";
  std::string test = "test";
  std::string audio_root;  // what paths in wav.scp are relative to
  std::string phones = "phones.txt";
  std::string text = "text";
  std::string lexicon;  // given: the transcripts are words
  std::string cache;    // of features; relative to the working directory, empty: none
  std::int64_t sample_rate = 16000;
  std::int64_t channel = 0;
  std::int64_t bins = 40;
  std::string normalisation = "speaker";
  std::int64_t stack = 1;  // frames side by side as one
  std::int64_t context = 0;
  std::int64_t max_frames = 2400;
  std::int64_t batch_frames = 12000;
  std::string infeasible = "skip";
  std::string loss_mean = "utterance";
  std::int64_t beam = 0;  // 0: greedy
  std::int64_t time_masks = 0;
  std::int64_t time_width = 0;
  std::int64_t bin_masks = 0;
  std::int64_t bin_width = 0;
  bool operator==(const SpeechConfig&) const = default;
};

struct ModelConfig {
  std::string attention = "causal-linear";
  std::string feature_map = "elu+1";
  std::int64_t layers = 4;
  std::int64_t heads = 8;
  std::int64_t head_dim = 32;
  std::int64_t feed_forward = 0;  // 0: 4 * heads * head_dim
  std::string activation = "relu";
  double dropout = 0.1;
  double attention_dropout = 0.1;  // softmax and lsh attention weights only
  std::string head = "mixture";    // images
  std::int64_t lsh_rounds = 4;
  std::int64_t lsh_bits = 32;
  std::int64_t lsh_chunk = 32;
  bool lsh_masked = true;
  std::string kind = "transformer";
  std::int64_t hidden = 320;    // bilstm
  std::string weights = "f32";  // as steps of an RNN read them
  std::string compute = "f32";  // of products
  bool operator==(const ModelConfig&) const = default;
};

struct OptimizerConfig {
  std::string kind = "radam";  // the authors' variant; "radam-standard" is the common one
  double lr = 1e-3;
  double weight_decay = 0.01;
  double max_grad_norm = 1.0;  // 0: no clipping
  std::string clip = "tensor";
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double momentum = 0.9;  // sgd
  bool operator==(const OptimizerConfig&) const = default;
};

struct ScheduleConfig {
  std::string kind = "step";
  std::vector<std::int64_t> milestones = {3000};  // step
  double factor = 0.1;                            // step
  std::int64_t warmup_steps = 0;                  // cosine
  double min_factor = 0;                          // cosine and plateau, as a share of lr
  double plateau_factor = 0.5;
  std::int64_t patience = 3;  // plateau: evaluations without improvement
  bool operator==(const ScheduleConfig&) const = default;
};

struct TrainConfig {
  std::int64_t batch_size = 64;
  std::int64_t accumulate = 1;
  std::int64_t shards = 1;
  std::int64_t steps = 10000;
  std::int64_t eval_every = 100;
  std::int64_t eval_batches = 20;
  std::int64_t checkpoint_every = 100;
  std::int64_t keep_last = 3;
  bool recompute = false;
  std::int64_t log_every = 10;
  std::int64_t early_stop = 0;  // evaluations; 0: never
  bool operator==(const TrainConfig&) const = default;
};

struct Config {
  RunConfig run;
  TaskConfig task;
  SpeechConfig speech;
  ModelConfig model;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  TrainConfig train;
  bool operator==(const Config&) const = default;
};

// Reads the file, then applies the overrides in order, each "section.key=value". The result is
// valid. IoError if the file cannot be read, ConfigError for all else.
Config load_config(const std::filesystem::path& file,
                   const std::vector<std::string>& overrides = {});

// As load_config, from text; messages call it source_name.
Config parse_config(std::string_view text, const std::string& source_name,
                    const std::vector<std::string>& overrides = {});

// ConfigError if a value is out of its range or values contradict each other. Parsing has done
// this; it is for a Config made in code.
void validate(const Config& config);

// Every key, in the order of the structs; parse_config gives back an equal Config.
std::string to_toml(const Config& config);

// A key and its values, as TOML, in each of some configs.
struct KeyValues {
  std::string key;  // "optimizer.lr"
  std::vector<std::string> values;
};
std::vector<KeyValues> all_keys(std::span<const Config> configs);
std::vector<KeyValues> differing_keys(std::span<const Config> configs);

// The keys whose values differ, a line each ("\n  optimizer.lr was 0.001 and is 0.01"); empty if
// none.
std::string describe_differences(const Config& before, const Config& after);

struct KeyDoc {
  std::string section;
  std::string key;
  std::string type;
  std::string default_value;  // as TOML
  std::string range;
  std::string meaning;
};
const std::vector<KeyDoc>& key_docs();

// Help for a key ("optimizer.lr"), for a section ("optimizer") or, if the name is empty, for all
// sections. ConfigError with the nearest key for any other name.
std::string describe_key(const std::string& name);

// The whole text of docs/config.md.
std::string key_docs_markdown();

}  // namespace tarn::train
