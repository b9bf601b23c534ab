// Random numbers by address. There is no generator and no state: a number is a pure function of
// (seed, site, step, element), so a resumed run, a backward pass and another device draw the same.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tarn {

// Where a stream of random numbers lives. The seed is the run's; the site says what they are for
// (usually site_of a module's full name); the step counts updates, or whatever the site repeats
// over.
struct RngAddress {
  std::uint64_t seed = 0;
  std::uint64_t site = 0;
  std::uint32_t step = 0;
};

// FNV-1a of the text: stable across builds, since it decides what a run draws.
constexpr std::uint64_t site_of(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                              std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

// The site that a block is drawn from. Philox's counter has room for the lower 32 bits of a block's
// number only; each further 2^32 blocks of a stream lie at a site of their own, the stream's moved
// by a multiple of 2^64 over the golden ratio.
constexpr std::uint64_t site_of_block(const RngAddress& at, std::uint64_t block) {
  return at.site + (block >> 32) * 0x9E3779B97F4A7C15ULL;
}

// The four 32-bit numbers of block b; element i of a stream is number i % 4 of block i / 4.
constexpr std::array<std::uint32_t, 4> random_block(const RngAddress& at, std::uint64_t block) {
  const std::uint64_t site = site_of_block(at, block);
  return philox({static_cast<std::uint32_t>(block), at.step, static_cast<std::uint32_t>(site),
                 static_cast<std::uint32_t>(site >> 32)},
                {static_cast<std::uint32_t>(at.seed), static_cast<std::uint32_t>(at.seed >> 32)});
}

constexpr std::uint32_t random_bits(const RngAddress& at, std::uint64_t element) {
  return random_block(at, element / 4)[element % 4];
}

// Uniform in [0, 1): 24 bits, so that it is exact in f32 and equal on every device.
constexpr double random_uniform(const RngAddress& at, std::uint64_t element) {
  return static_cast<double>(random_bits(at, element) >> 8) * (1.0 / 16777216.0);
}

// Uniform in 0 .. n-1 for n up to 2^32 (multiply and shift; the bias is below n / 2^32).
constexpr std::uint32_t random_below(const RngAddress& at, std::uint64_t element, std::uint32_t n) {
  return static_cast<std::uint32_t>((std::uint64_t{random_bits(at, element)} * n) >> 32);
}

// Standard normal, by Box and Muller over two bits of the stream. Computed on the CPU only.
double random_normal(const RngAddress& at, std::uint64_t element);

// An event of probability p is one whose random bits are below this. 0 <= p < 1.
constexpr std::uint32_t random_threshold(double p) {
  return static_cast<std::uint32_t>(p * 4294967296.0);
}

}  // namespace tarn
