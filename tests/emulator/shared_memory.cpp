// The shared memory of a block: arrays in an arena, with red zones between them.
#include <cstdlib>
#include <cstring>

#include "tests/emulator/block.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/faults.h"

namespace emulator {
namespace {

constexpr std::size_t kRedZone = 128;
constexpr std::size_t kArena = 512 * 1024;  // what a block may have, and red zones

}  // namespace

Block::SharedArray Block::place(const void* key, std::size_t bytes, std::size_t alignment) {
  if (arena_.empty()) {
    arena_.resize(kArena);
    if (checking()) cells_.resize(kArena / kCellBytes);
  }
  // Offsets are aligned from the arena's beginning, which the allocator aligns to 16 only.
  const auto base = reinterpret_cast<std::uintptr_t>(arena_.data());
  const std::uintptr_t begin = (base + used_ + kRedZone + alignment - 1) / alignment * alignment;
  const SharedArray array{key, begin - base, bytes};
  used_ = array.offset + bytes + kRedZone;
  if (used_ > kArena) {
    std::fprintf(stderr, "emulator: %s declares too much shared memory\n", kernel_name());
    std::abort();
  }
  arrays_.push_back(array);
  return array;
}

void Block::poison(const SharedArray& array) {
  std::memset(&arena_[array.offset], 0xFF, array.bytes);
  if (!checking()) return;
  const std::size_t last = (array.offset + array.bytes + kCellBytes - 1) / kCellBytes;
  for (std::size_t i = array.offset / kCellBytes; i < last; ++i) cells_[i] = {};
}

void* Block::static_shared(const void* key, std::size_t bytes, std::size_t alignment) {
  for (const SharedArray& array : arrays_) {
    if (array.key == key) return &arena_[array.offset];
  }
  const SharedArray array = place(key, bytes, alignment);
  poison(array);
  return &arena_[array.offset];
}

Cell* Block::shared_cells(const void* address, std::size_t bytes) {
  const auto offset =
      static_cast<std::size_t>(static_cast<const unsigned char*>(address) - arena_.data());
  for (const SharedArray& array : arrays_) {
    if (offset >= array.offset && offset + bytes <= array.offset + array.bytes) {
      return &cells_[offset / kCellBytes];
    }
  }
  return nullptr;
}

// The destination is poisoned until the thread waits, so that a missing wait is seen; the source is
// read at once, since nothing may change it meanwhile.
void Block::copy_async(void* to, const void* from, std::size_t bytes) {
  const auto* begin = static_cast<const unsigned char*>(from);
  current_->copies.push_back({to, {begin, begin + bytes}, current_->copy_group});
  std::memset(to, 0xFF, bytes);
}

void Block::commit_copies() { ++current_->copy_group; }

void Block::wait_for_copies(unsigned groups_left) {
  std::erase_if(current_->copies, [&](const PendingCopy& copy) {
    if (copy.group + groups_left >= current_->copy_group) return false;
    std::memcpy(copy.to, copy.bytes.data(), copy.bytes.size());
    return true;
  });
}

}  // namespace emulator
