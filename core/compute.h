#pragma once

#include <cstdint>

namespace tarn {

// What matrix products compute with. The sums of bf16 products are f32: their factors, which are
// f32 in memory, are rounded to the nearest bf16 on the way.
enum class Compute : std::uint8_t {
  own_type,       // of the tensors
  bf16,           // by instructions that a processor must have
  bf16_emulated,  // the same bits on any processor, slowly: for tests
};

}  // namespace tarn
