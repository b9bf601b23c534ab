// The state of a model that runs step by step, in a file, to go on in another process. For programs
// that run a model from C++ (docs/generation.md); tarn itself generates within one process.
#pragma once

#include <filesystem>

#include "nn/encoder_state.h"

namespace tarn::train {

// Writes the state as safetensors; see EncoderState::named() for the names.
void save_state(const std::filesystem::path& file, const nn::EncoderState& state);

// Fills a state that start() made for the same sizes. Throws UserError that names the file, and the
// tensor where one is at fault.
void load_state(const std::filesystem::path& file, nn::EncoderState& state);

}  // namespace tarn::train
