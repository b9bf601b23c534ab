// `tarn trace`: what a model computes on recorded batches, for people who port models.
#pragma once

#include <filesystem>
#include <string>

#include "train/config/config.h"

namespace tarn::train {

struct TraceRequest {
  std::string weights;  // as load_weights() takes them
  std::filesystem::path batch;
  std::filesystem::path out;
  std::int64_t steps = 0;  // optimizer updates to record
  bool dropout = false;    // as the config says; otherwise none, as in evaluation
};

// Writes to `out`: `logits`, `loss` and grad.NAME of the first batch, and with steps K, `losses`
// f64 [K] and stepK.NAME, the parameters after K updates.
void trace(const Config& config, const TraceRequest& request);

}  // namespace tarn::train
