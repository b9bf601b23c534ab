#include "tests/emulator/shadow.h"

#include <initializer_list>

namespace emulator {
namespace {

constexpr std::uint32_t kWarp = 32;

// Whether a barrier, or the order within a thread, puts the earlier access before the present one.
bool ordered(const Access& earlier, const Present& present) {
  const Access& now = present.access;
  if (earlier.thread == 0 || earlier.thread == now.thread) return true;
  if ((earlier.bytes & now.bytes) == 0) return true;
  if (earlier.atomic && now.atomic) return true;
  const std::uint32_t before = earlier.thread - 1, me = now.thread - 1;
  if (before / present.block_threads != me / present.block_threads) return false;
  if (earlier.block_epoch < now.block_epoch) return true;
  const bool same_warp =
      before % present.block_threads / kWarp == me % present.block_threads / kWarp;
  return same_warp && earlier.warp_epoch < now.warp_epoch;
}

}  // namespace

Findings check(Cell& cell, const Present& present, Cell& earlier) {
  if (cell.launch != present.launch) {
    cell.launch = present.launch;
    cell.write = cell.read = cell.other_read = {};
  }
  earlier = cell;
  Findings findings;
  if (!ordered(earlier.write, present)) {
    findings.race = &earlier.write;
    findings.race_with_write = true;
  }
  if (present.is_write) {
    for (const Access* read : {&earlier.read, &earlier.other_read}) {
      if (findings.race == nullptr && !ordered(*read, present)) findings.race = read;
    }
    cell.write = present.access;
    cell.initialized |= present.access.bytes;
  } else {
    findings.uninitialized = (cell.initialized & present.access.bytes) != present.access.bytes;
    if (cell.read.thread != present.access.thread) cell.other_read = cell.read;
    cell.read = present.access;
  }
  return findings;
}

void mark_initialized(Cell* cells, std::size_t offset, std::size_t bytes) {
  for (std::size_t i = offset; i < offset + bytes; ++i) {
    cells[i / kCellBytes].initialized |= static_cast<std::uint8_t>(1U << i % kCellBytes);
  }
}

bool is_initialized(const Cell* cells, std::size_t offset, std::size_t bytes) {
  for (std::size_t i = offset; i < offset + bytes; ++i) {
    if ((cells[i / kCellBytes].initialized >> i % kCellBytes & 1) == 0) return false;
  }
  return true;
}

void copy_initialized(const Cell* from, std::size_t from_offset, Cell* to, std::size_t to_offset,
                      std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    Cell& target = to[(to_offset + i) / kCellBytes];
    const auto bit = static_cast<std::uint8_t>(1U << (to_offset + i) % kCellBytes);
    const bool set = is_initialized(from, from_offset + i, 1);
    target.initialized =
        static_cast<std::uint8_t>(set ? target.initialized | bit : target.initialized & ~bit);
  }
}

}  // namespace emulator
