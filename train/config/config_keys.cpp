#include "train/config/config_keys.h"

#include <algorithm>
#include <cstddef>

#include "core/check.h"
#include "core/names.h"

namespace tarn::train {
namespace {

template <auto Section, auto Member>
Field at(Config& config) {
  return &((config.*Section).*Member);
}

constexpr Limits any_text() { return {}; }
constexpr Limits either() { return {}; }
constexpr Limits any_seed() { return {}; }
constexpr Limits text_or_empty() { return {.may_be_empty = true}; }
constexpr Limits one_of(std::string_view choices) { return {.choices = choices}; }
constexpr Limits at_least(double low) { return {.low = low}; }
constexpr Limits above(double low) { return {.low = low, .open_low = true}; }
constexpr Limits within(double low, double high) { return {.low = low, .high = high}; }
constexpr Limits share() { return {.low = 0, .high = 1, .open_high = true}; }
constexpr Limits reduction() { return {.low = 0, .high = 1, .open_low = true}; }

// Sizes have an upper bound far beyond use, so that products of them cannot overflow.
constexpr double kMaxCount = 1 << 20;
constexpr double kMaxWidth = 1 << 12;

constexpr Section kSections[] = {
    {"run", "the run as a whole"},
    {"task", "what is learnt"},
    {"speech", "the data of the speech task, and how it becomes features and phones"},
    {"model", "the transformer"},
    {"optimizer", "how a step changes the weights"},
    {"schedule", "how the learning rate changes with the steps"},
    {"train", "the training loop"},
};

constexpr Key kKeys[] = {
    {"run", "name", at<&Config::run, &RunConfig::name>, any_text(),
     "name of the run, and of its folder under runs/"},
    {"run", "seed", at<&Config::run, &RunConfig::seed>, any_seed(),
     "seed of every random number: initial weights, data, dropout"},
    {"run", "device", at<&Config::run, &RunConfig::device>, any_text(), "cpu, cuda or cuda:N"},
    {"run", "threads", at<&Config::run, &RunConfig::threads>, within(0, 1024),
     "CPU threads; 0: as OMP_NUM_THREADS says, else one a processor that the run may use"},
    {"run", "tensorboard", at<&Config::run, &RunConfig::tensorboard>, either(),
     "also write the metrics as a file of TensorBoard's, under tensorboard/ in the run's folder"},
    {"run", "timeout", at<&Config::run, &RunConfig::timeout>, within(0, 86400),
     "of several processes: seconds to wait for another before all end; 0: for ever"},

    {"task", "kind", at<&Config::task, &TaskConfig::kind>, one_of("copy, images, speech"),
     "copy: repeat a random sequence after a separator; images: predict each value of an image; "
     "speech: hear the phones"},
    {"task", "sequence_length", at<&Config::task, &TaskConfig::sequence_length>,
     within(1, kMaxCount),
     "positions in a sequence; images: the predicted values, all but an image's first"},
    {"task", "symbols", at<&Config::task, &TaskConfig::symbols>, within(1, kMaxCount),
     "copy: different symbols, not counting the separator"},
    {"task", "data", at<&Config::task, &TaskConfig::data>, text_or_empty(),
     "images: the folder with the files of MNIST or CIFAR-10; speech: where the paths of [speech] "
     "begin"},
    {"task", "mixtures", at<&Config::task, &TaskConfig::mixtures>, within(1, kMaxWidth),
     "images: logistic distributions that a value is predicted by, with the mixture head"},
    {"task", "validation", at<&Config::task, &TaskConfig::validation>, within(1, kMaxCount),
     "images: held out from the end of the training set for the evaluations while training"},

    {"speech", "train", at<&Config::speech, &SpeechConfig::train>, any_text(),
     "Kaldi-style folder with the training data"},
    {"speech", "validation", at<&Config::speech, &SpeechConfig::validation>, any_text(),
     "of the evaluations while training"},
    {"speech", "test", at<&Config::speech, &SpeechConfig::test>, any_text(),
     "what tarn eval takes"},
    {"speech", "audio_root", at<&Config::speech, &SpeechConfig::audio_root>, text_or_empty(),
     "where relative paths in wav.scp begin; empty: task.data itself"},
    {"speech", "phones", at<&Config::speech, &SpeechConfig::phones>, text_or_empty(),
     "the list of phones, one a line, the blank first; empty: the checkpoint's, where there is "
     "one"},
    {"speech", "text", at<&Config::speech, &SpeechConfig::text>, any_text(),
     "the file of the transcripts in each folder"},
    {"speech", "lexicon", at<&Config::speech, &SpeechConfig::lexicon>, text_or_empty(),
     "pronunciations, if the transcripts are words; empty: they are phones"},
    {"speech", "cache", at<&Config::speech, &SpeechConfig::cache>, text_or_empty(),
     "folder that keeps the features, relative to the working directory; empty: none"},
    {"speech", "sample_rate", at<&Config::speech, &SpeechConfig::sample_rate>, within(0, kMaxCount),
     "what all audio must have, in Hz; 0: that of the first"},
    {"speech", "channel", at<&Config::speech, &SpeechConfig::channel>, within(0, 1024),
     "the channel to hear, from 1; 0: audio must have only one"},
    {"speech", "bins", at<&Config::speech, &SpeechConfig::bins>, within(1, 1024), "mel filters"},
    {"speech", "normalisation", at<&Config::speech, &SpeechConfig::normalisation>,
     one_of("none, utterance, speaker"), "over what the features get mean 0 and variance 1"},
    {"speech", "stack", at<&Config::speech, &SpeechConfig::stack>, within(1, 64),
     "so many frames of 10 ms are one position of the model"},
    {"speech", "context", at<&Config::speech, &SpeechConfig::context>, within(0, 64),
     "so many more frames are seen on either side of a position's own"},
    {"speech", "max_frames", at<&Config::speech, &SpeechConfig::max_frames>, within(1, kMaxCount),
     "positions that a transformer is built for"},
    {"speech", "batch_frames", at<&Config::speech, &SpeechConfig::batch_frames>, within(1, 1 << 30),
     "frames in a batch at most, with padding; train.batch_size is not used"},
    {"speech", "infeasible", at<&Config::speech, &SpeechConfig::infeasible>, one_of("skip, error"),
     "an utterance of too few frames for its phones is left out of the loss, or an error"},
    {"speech", "loss_mean", at<&Config::speech, &SpeechConfig::loss_mean>,
     one_of("utterance, phone"),
     "mean of the utterances' losses as they are, or each divided by its phones first"},
    {"speech", "beam", at<&Config::speech, &SpeechConfig::beam>, within(0, kMaxCount),
     "prefixes kept when decoding; 0: greedy, as the per of training steps always is"},
    {"speech", "time_masks", at<&Config::speech, &SpeechConfig::time_masks>, within(0, 1024),
     "stretches of time hidden from each utterance in training"},
    {"speech", "time_width", at<&Config::speech, &SpeechConfig::time_width>, within(0, kMaxCount),
     "frames of one such stretch at most"},
    {"speech", "bin_masks", at<&Config::speech, &SpeechConfig::bin_masks>, within(0, 1024),
     "bands of bins hidden from each utterance in training"},
    {"speech", "bin_width", at<&Config::speech, &SpeechConfig::bin_width>, within(0, 1024),
     "bins of one such band at most"},

    {"model", "attention", at<&Config::model, &ModelConfig::attention>,
     one_of("full, linear, causal-linear, lsh"),
     "linear sees all positions, causal-linear the past, full (softmax) and lsh what the task "
     "allows"},
    {"model", "feature_map", at<&Config::model, &ModelConfig::feature_map>,
     one_of("elu+1, relu, identity"), "feature map of linear and causal-linear attention"},
    {"model", "layers", at<&Config::model, &ModelConfig::layers>, within(1, 1024),
     "encoder layers"},
    {"model", "heads", at<&Config::model, &ModelConfig::heads>, within(1, kMaxWidth),
     "attention heads of a layer"},
    {"model", "head_dim", at<&Config::model, &ModelConfig::head_dim>, within(1, kMaxWidth),
     "width of one head; the model is heads * head_dim wide"},
    {"model", "feed_forward", at<&Config::model, &ModelConfig::feed_forward>, within(0, kMaxCount),
     "inner width of the feed-forward block; 0: 4 * heads * head_dim"},
    {"model", "activation", at<&Config::model, &ModelConfig::activation>, one_of("relu, gelu"),
     "activation of the feed-forward block"},
    {"model", "dropout", at<&Config::model, &ModelConfig::dropout>, share(),
     "dropout on the residual branches and in the feed-forward block"},
    {"model", "attention_dropout", at<&Config::model, &ModelConfig::attention_dropout>, share(),
     "dropout on the weights of full and lsh attention; the linear kinds have none"},
    {"model", "head", at<&Config::model, &ModelConfig::head>, one_of("mixture, categorical"),
     "images: a value is predicted by a mixture of logistics, or as one of 256 classes"},
    {"model", "lsh_rounds", at<&Config::model, &ModelConfig::lsh_rounds>, within(1, 256),
     "lsh: rounds of hashing, whose outputs are averaged"},
    {"model", "lsh_bits", at<&Config::model, &ModelConfig::lsh_bits>, within(1, kMaxWidth),
     "lsh: random planes of a round; they make twice as many buckets"},
    {"model", "lsh_chunk", at<&Config::model, &ModelConfig::lsh_chunk>, within(1, kMaxWidth),
     "lsh: positions of a chunk; each sees its own chunk and the one before"},
    {"model", "lsh_masked", at<&Config::model, &ModelConfig::lsh_masked>, either(),
     "lsh: a position sees itself only where it may see nothing else"},
    {"model", "kind", at<&Config::model, &ModelConfig::kind>, one_of("transformer, bilstm"),
     "bilstm, the bidirectional LSTM, is for speech"},
    {"model", "hidden", at<&Config::model, &ModelConfig::hidden>, within(1, kMaxWidth),
     "bilstm: width of each direction; its layers and dropout are the keys above"},
    {"model", "weights", at<&Config::model, &ModelConfig::weights>, one_of("f32, bf16"),
     "how they are stored for tarn generate and tarn eval --recurrent; all else needs f32"},
    {"model", "compute", at<&Config::model, &ModelConfig::compute>,
     one_of("f32, bf16, bf16-emulated"),
     "what products take in training, evaluation and prefixes; bf16 is rounded to, its sums are "
     "f32, "
     "and the processor must have instructions for it; bf16-emulated has its bits anywhere, "
     "slowly"},

    {"optimizer", "kind", at<&Config::optimizer, &OptimizerConfig::kind>,
     one_of("sgd, adam, adamw, radam, radam-standard"),
     "radam is the variant of the paper's authors, radam-standard the common one"},
    {"optimizer", "lr", at<&Config::optimizer, &OptimizerConfig::lr>, above(0),
     "learning rate, before the schedule"},
    {"optimizer", "weight_decay", at<&Config::optimizer, &OptimizerConfig::weight_decay>,
     at_least(0), "an L2 term of the gradient; adamw and radam decay the weight itself instead"},
    {"optimizer", "max_grad_norm", at<&Config::optimizer, &OptimizerConfig::max_grad_norm>,
     at_least(0), "longer gradients are scaled down to this norm; 0: no clipping"},
    {"optimizer", "clip", at<&Config::optimizer, &OptimizerConfig::clip>, one_of("tensor, global"),
     "max_grad_norm is for each tensor's own gradient, or for all together"},
    {"optimizer", "beta1", at<&Config::optimizer, &OptimizerConfig::beta1>, share(),
     "decay of the mean gradient; not sgd"},
    {"optimizer", "beta2", at<&Config::optimizer, &OptimizerConfig::beta2>, share(),
     "decay of the mean squared gradient; not sgd"},
    {"optimizer", "eps", at<&Config::optimizer, &OptimizerConfig::eps>, above(0),
     "keeps the division by the root of the mean square finite; not sgd"},
    {"optimizer", "momentum", at<&Config::optimizer, &OptimizerConfig::momentum>, share(),
     "momentum of sgd"},

    {"schedule", "kind", at<&Config::schedule, &ScheduleConfig::kind>,
     one_of("constant, step, cosine, plateau"),
     "lr falls at milestones (step), along a half wave (cosine), when what says which checkpoint "
     "is "
     "the best stalls (plateau)"},
    {"schedule", "milestones", at<&Config::schedule, &ScheduleConfig::milestones>, at_least(1),
     "step: the steps after which lr is multiplied by factor, ascending"},
    {"schedule", "factor", at<&Config::schedule, &ScheduleConfig::factor>, reduction(),
     "step: lr is multiplied by it at each milestone"},
    {"schedule", "warmup_steps", at<&Config::schedule, &ScheduleConfig::warmup_steps>, at_least(0),
     "cosine: steps in which lr first rises linearly from 0"},
    {"schedule", "min_factor", at<&Config::schedule, &ScheduleConfig::min_factor>, within(0, 1),
     "cosine: where lr ends, plateau: its floor; as a share of optimizer.lr"},
    {"schedule", "plateau_factor", at<&Config::schedule, &ScheduleConfig::plateau_factor>,
     reduction(), "plateau: lr is multiplied by it each time"},
    {"schedule", "patience", at<&Config::schedule, &ScheduleConfig::patience>, at_least(0),
     "plateau: evaluations in a row that may bring no improvement; one more lowers lr"},

    {"train", "batch_size", at<&Config::train, &TrainConfig::batch_size>, within(1, kMaxCount),
     "sequences in a batch; speech: see speech.batch_frames"},
    {"train", "accumulate", at<&Config::train, &TrainConfig::accumulate>, within(1, kMaxCount),
     "batches to an update, which takes the mean of their gradients"},
    {"train", "shards", at<&Config::train, &TrainConfig::shards>, within(1, 4096),
     "parts that each batch is cut into, and that as many processes may share; another number "
     "rounds differently"},
    {"train", "steps", at<&Config::train, &TrainConfig::steps>, at_least(0),
     "updates of the weights in the whole run; 0: none, a checkpoint of the weights it starts "
     "from"},
    {"train", "eval_every", at<&Config::train, &TrainConfig::eval_every>, at_least(1),
     "steps from one evaluation to the next"},
    {"train", "eval_batches", at<&Config::train, &TrainConfig::eval_batches>, at_least(1),
     "batches in an evaluation; speech: not used, the whole folder is"},
    {"train", "checkpoint_every", at<&Config::train, &TrainConfig::checkpoint_every>, at_least(1),
     "steps from one checkpoint to the next"},
    {"train", "keep_last", at<&Config::train, &TrainConfig::keep_last>, at_least(1),
     "checkpoints kept; older ones are deleted"},
    {"train", "recompute", at<&Config::train, &TrainConfig::recompute>, either(),
     "keep only each layer's input and run the layers again in the backward: the same bits in less "
     "memory, for a third more time"},
    {"train", "log_every", at<&Config::train, &TrainConfig::log_every>, at_least(1),
     "steps from one line of the log to the next"},
    {"train", "early_stop", at<&Config::train, &TrainConfig::early_stop>, at_least(0),
     "stop when so many evaluations in a row were no better than the best; 0: never"},
};

std::string_view bare(std::string_view full_name) {
  return full_name.substr(full_name.find('.') + 1);  // npos + 1 is 0: all of it
}

// Null if nothing is near. The right key in the wrong section, or in none, counts as one edit.
const Key* nearest_key(std::string_view full_name) {
  const Key* best = nullptr;
  std::size_t best_distance = std::numeric_limits<std::size_t>::max();
  for (const Key& key : kKeys) {
    const std::size_t distance = std::min(edit_distance(full_name, key.full_name()),
                                          1 + edit_distance(bare(full_name), key.name));
    if (distance < best_distance && is_misspelling(distance, key.name)) {
      best = &key;
      best_distance = distance;
    }
  }
  return best;
}

void append_name(std::string& list, std::string_view name) {
  if (!list.empty()) list += ", ";
  list += name;
}

std::string section_names() {
  std::string names;
  for (const Section& section : kSections) append_name(names, section.name);
  return names;
}

std::string key_names(std::string_view section) {
  std::string names;
  for (const Key& key : kKeys) {
    if (key.section == section) append_name(names, key.name);
  }
  return names;
}

}  // namespace

std::string Key::full_name() const { return message(section, ".", name); }

std::span<const Key> keys() { return kKeys; }
std::span<const Section> sections() { return kSections; }

const Key* find_key(std::string_view full_name) {
  const auto* found = std::find_if(std::begin(kKeys), std::end(kKeys),
                                   [&](const Key& key) { return key.full_name() == full_name; });
  return found == std::end(kKeys) ? nullptr : found;
}

bool is_section(std::string_view name) {
  return std::any_of(std::begin(kSections), std::end(kSections),
                     [&](const Section& section) { return section.name == name; });
}

std::string unknown_key_text(std::string_view full_name) {
  const std::string text = message(full_name, " is not a known key; ");
  if (const Key* key = nearest_key(full_name)) {
    return message(text, "did you mean ", key->full_name(), "?");
  }
  const std::string_view section = full_name.substr(0, full_name.find('.'));
  if (is_section(section)) return message(text, "[", section, "] has ", key_names(section));
  return message(text, "the sections are ", section_names());
}

std::string unknown_section_text(std::string_view name) {
  const std::string text = message("[", name, "] is not a known section; ");
  std::vector<std::string> names;
  for (const Section& section : kSections) names.emplace_back(section.name);
  const std::string near = nearest_name(name, names);
  if (!near.empty()) return message(text, "did you mean [", near, "]?");
  return message(text, "the sections are ", section_names());
}

}  // namespace tarn::train
