// Whatever the bytes, decoding them as audio gives finite samples of a possible filterbank, or an
// error of ours. The first byte chooses the channel.
#include "data/speech/audio.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/check.h"
#include "data/speech/fbank.h"

// NOLINTNEXTLINE(readability-identifier-naming): the fuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    const tarn::data::Audio audio = tarn::data::decode_audio(bytes, "input", data[0] % 4);
    if (audio.samples.empty()) std::abort();
    for (const float sample : audio.samples) {
      if (!std::isfinite(sample)) std::abort();
    }
    if (audio.samples.size() > 1 << 16) return 0;  // long silence: nothing new, and slow
    const tarn::Tensor features = tarn::data::Fbank({}, audio.sample_rate).compute(audio.samples);
    for (std::int64_t i = 0; i < features.elements(); ++i) {
      if (!std::isfinite(features.data<float>()[i])) std::abort();
    }
  } catch (const tarn::UserError&) {
  }
  return 0;
}
