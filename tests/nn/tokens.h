// Small models and their inputs, for tests.
#pragma once

#include <string_view>

#include "core/rng.h"
#include "core/transfer.h"
#include "nn/sequence_predictor.h"
#include "tests/support/random_tensor.h"

namespace tarn::test {

// i32 tokens in 0 .. symbols-1, by address.
inline Tensor random_tokens(const Shape& shape, std::int64_t symbols, std::string_view name) {
  Tensor tokens = Tensor::empty(shape, DType::i32, Device::cpu());
  const RngAddress at{1, site_of(name), 0};
  for (std::int64_t i = 0; i < tokens.elements(); ++i) {
    tokens.mutable_data<std::int32_t>()[i] = static_cast<std::int32_t>(
        random_below(at, static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(symbols)));
  }
  return tokens;
}

inline Tensor lengths_of(const std::vector<double>& lengths) {
  return from_vector({static_cast<std::int64_t>(lengths.size())}, lengths, DType::i32);
}

// The first `length` positions of sequence n.
inline Tensor prefix(const Tensor& x, std::int64_t n, std::int64_t length) {
  return x.slice(0, n, 1).slice(1, 0, length);
}

// Two layers of two heads of 16: kinds that are causal get max_length positions.
inline nn::SequencePredictorOptions small_options(const std::string& attention,
                                                  std::int64_t max_length = 64) {
  nn::SequencePredictorOptions options;
  options.encoder.attention = attention;
  options.encoder.layers = 2;
  options.encoder.heads = 2;
  options.encoder.head_dim = 16;
  options.encoder.feed_forward = 128;
  options.encoder.lsh = {.rounds = 2, .bits = 4, .chunk = 4};
  options.max_length = max_length;
  return options;
}

inline nn::Build build_of(DType dtype = DType::f32, std::uint64_t seed = 1) {
  return {.path = "", .dtype = dtype, .device = Device::cpu(), .seed = seed};
}

}  // namespace tarn::test
