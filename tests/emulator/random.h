// Numbers for the orders in which things are done at random.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/emulator/emulator.h"

namespace emulator {

inline std::uint64_t next_random(std::uint64_t& state) {  // xorshift64
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

// Puts numbers into the order in which the settings want them run.
inline void arrange(std::vector<unsigned>& numbers, std::uint64_t& random) {
  if (settings().order == Order::descending) std::reverse(numbers.begin(), numbers.end());
  if (settings().order != Order::random) return;
  for (std::size_t i = numbers.size(); i > 1; --i) {
    std::swap(numbers[i - 1], numbers[next_random(random) % i]);
  }
}

}  // namespace emulator
