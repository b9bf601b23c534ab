// What the interpreter counts, of each kernel by itself.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/emulator/ptx/program.h"

namespace emulator::ptx {

struct Counts {
  std::uint64_t launches = 0, blocks = 0;
  std::uint64_t warp_instructions = 0;  // of PTX, once for all lanes that execute them together
  std::uint64_t fused = 0;              // products with a sum, of each thread
  std::uint64_t barriers = 0;           // of blocks
  std::uint64_t sectors_read = 0, sectors_written = 0;  // of global memory, 32 bytes
  // Passes over the 32 banks of shared memory, and how many there would be without conflicts.
  std::uint64_t wavefronts = 0, least_wavefronts = 0;
};

// Those of a kernel in this process. At its end a table of all is written to the file that
// TARN_PTX_COUNTS names in the environment.
Counts& counts_of(const std::string& kernel);

using Addresses = std::array<std::uint64_t, kLanes>;

// The sectors that the lanes of the mask touch with `bytes` each.
std::uint64_t sectors_of(const Addresses& addresses, Mask mask, std::uint32_t bytes);

// The passes that shared memory takes. It serves 128 bytes at once, so 8 or 16 bytes a lane are
// served for half or a quarter of the warp at a time; of each bank one word, which all lanes may
// read.
std::uint64_t wavefronts_of(const Addresses& addresses, Mask mask, std::uint32_t bytes,
                            std::uint64_t& least);

}  // namespace emulator::ptx
