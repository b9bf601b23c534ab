// The floating-point types of files as f32.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace tarn {

// Whether tensors of this type of the safetensors format ("F32", "F64", "F16", "BF16") can be read
// as f32.
bool is_stored_float(std::string_view stored);

// The elements as f32. F16 and BF16 lose nothing, F64 is rounded to the nearest. Returns false at
// a finite number that is too large for f32; the output is then not complete.
bool floats_of(std::string_view stored, std::span<const std::byte> bytes, std::span<float> out);

}  // namespace tarn
