// Numbers for the orders in which things are done at random.
#pragma once

#include <cstdint>

namespace emulator {

inline std::uint64_t next_random(std::uint64_t& state) {  // xorshift64
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

}  // namespace emulator
