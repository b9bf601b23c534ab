// Phones from speech, by CTC (the paper's section 4.3). Metrics: loss (nats an utterance, or a
// phone), per (phone error rate, a share) and, of evaluations, its parts: substitutions, deletions
// and insertions. The last arguments are as make_task() has them.
#pragma once

#include "train/tasks/task.h"

namespace tarn::train {

std::unique_ptr<Task> make_speech_task(const Config& config, Device device,
                                       const DataFacts& checkpoint, DType dtype);

}  // namespace tarn::train
