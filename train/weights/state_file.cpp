#include "train/weights/state_file.h"

#include "core/io/safetensors.h"

namespace tarn::train {

void save_state(const std::filesystem::path& file, const nn::EncoderState& state) {
  write_safetensors(file, state.named());
}

void load_state(const std::filesystem::path& file, nn::EncoderState& state) {
  const SafetensorsFile saved(file);
  NamedTensors tensors;
  for (const SafetensorsFile::Entry& entry : saved.entries()) {
    tensors.emplace_back(entry.name, saved.read(entry.name));
  }
  try {
    state.restore(tensors);
  } catch (const UserError& error) {
    fail<UserError>(file.string(), ": ", error.what());
  }
}

}  // namespace tarn::train
