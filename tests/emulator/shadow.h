// What the checker remembers of every four bytes of device and shared memory: who wrote them, who
// read them, and which of them were ever written.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulator {

constexpr std::size_t kCellBytes = 4;

// One access by one thread. Barriers of the block and of its warps count epochs: an access of an
// earlier epoch comes before the present one.
struct Access {
  std::uint32_t thread = 0;  // 1 + its number in the grid; 0: no access
  std::uint32_t block_epoch = 0, warp_epoch = 0;
  std::uint8_t bytes = 0;  // which of the cell's, a bit each
  bool atomic = false;
  std::int32_t site = 0;  // the code address, from an anchor in the program
};

struct Cell {
  std::uint32_t launch = 0;        // that the accesses belong to: launches do not race each other
  std::uint8_t initialized = 0;    // a bit a byte
  Access write, read, other_read;  // the last ones; other_read is another thread's than read
};

// The present access of the running thread.
struct Present {
  Access access;
  std::uint32_t launch = 0;
  std::uint32_t block_threads = 1;
  bool shared = false;
  bool is_write = false;
};

// What an access meets in a cell.
struct Findings {
  const Access* race = nullptr;  // the earlier access that no barrier orders before this one
  bool race_with_write = false;
  bool uninitialized = false;
};

// Compares the access with what the cell remembers, then remembers it. A cell's findings point into
// `earlier`, a copy of what was there.
Findings check(Cell& cell, const Present& present, Cell& earlier);

// The range as written by the host or by a library, without a thread.
void mark_initialized(Cell* cells, std::size_t offset, std::size_t bytes);
bool is_initialized(const Cell* cells, std::size_t offset, std::size_t bytes);
void copy_initialized(const Cell* from, std::size_t from_offset, Cell* to, std::size_t to_offset,
                      std::size_t bytes);

}  // namespace emulator
