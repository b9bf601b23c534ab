// What a model depends on that its config leaves to the data: the list of phones, the sample rate,
// the shape of images. Checkpoints keep it, so that a run stands for itself, and it is compared
// when a checkpoint meets data again.
#pragma once

#include <map>
#include <string>

#include "train/config/config.h"

namespace tarn::train {

// "phones": all symbols in the order of their numbers, the blank first, with spaces between;
// "sample_rate": in Hz; "images": height, width and channels, as in 32x32x3.
using DataFacts = std::map<std::string, std::string>;

// ConfigError unless each fact that both have is the same in both: it names the checkpoint, the
// fact and the two values; of two lists, the first symbols that differ.
void check_same_data(const DataFacts& checkpoint, const DataFacts& found, const std::string& name);

// Makes a config ask for the checkpoint's facts: speech.sample_rate 0 becomes the rate
// that was trained on, and speech.phones becomes empty where it is as in `trained`, the config of
// the checkpoint, and names no file. ConfigError where the config says another rate.
void take_data_facts(Config& config, const Config& trained, const DataFacts& checkpoint,
                     const std::string& name);

}  // namespace tarn::train
