#include "core/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "core/check.h"

namespace tarn {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kCaching = false;  // so that use after free is seen
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kCaching = false;
#else
constexpr bool kCaching = true;
#endif
#else
constexpr bool kCaching = true;
#endif

#if defined(TARN_CHECKED)
constexpr bool kChecked = true;
#else
constexpr bool kChecked = false;
#endif

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kLargest = std::size_t{1} << 62;  // above it, rounding up would wrap around
constexpr std::size_t kHugePage = std::size_t{2} << 20;
// In checked builds every block ends in a band that must still hold its pattern when it is freed.
constexpr std::size_t kGuard = kChecked ? 64 : 0;
constexpr int kGuardByte = 0xA5;
constexpr int kPoisonByte = 0xFF;  // every float and double made of it is NaN

void* cpu_allocate(std::size_t bytes) {
  const bool huge = bytes >= 2 * kHugePage;
  const std::size_t alignment = huge ? kHugePage : kAlignment;
  void* block = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (block != nullptr && huge) madvise(block, bytes, MADV_HUGEPAGE);  // a wish; refusal is fine
  return block;
}

void cpu_release(void* block, std::size_t /*bytes*/) { std::free(block); }

void cpu_zero(void* block, std::size_t bytes) { std::memset(block, 0, bytes); }

void guard(void* block, std::size_t bytes) {
  std::memset(block, kPoisonByte, bytes);
  std::fill_n(static_cast<std::byte*>(block) + bytes, kGuard, std::byte{kGuardByte});
}

void check_guard(const void* block, std::size_t bytes) {
  const auto* band = static_cast<const std::byte*>(block) + bytes;
  for (std::size_t i = 0; i < kGuard; ++i) {
    TARN_CHECK(band[i] == std::byte{kGuardByte}, "allocator: something wrote ", i,
               " bytes past the end of a block of ", bytes, " bytes");
  }
}

}  // namespace

std::size_t Allocator::block_size(std::size_t bytes) {
  if (bytes <= 4 * kAlignment) return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const std::size_t step = std::size_t{1} << (std::bit_width(bytes - 1) - 3);
  return (bytes + step - 1) / step * step;
}

void* Allocator::take_cached(std::size_t size) {
  const auto found = free_.find(size);
  if (found == free_.end() || found->second.empty()) return nullptr;
  void* block = found->second.back();
  found->second.pop_back();
  stats_.cached -= static_cast<std::int64_t>(size);
  return block;
}

void* Allocator::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  TARN_CHECK(bytes <= kLargest, "out of memory: ", bytes, " bytes were asked for");
  const std::size_t size = block_size(bytes + kGuard);
  const std::lock_guard lock(mutex_);
  void* block = take_cached(size);
  if (block == nullptr) {
    block = source_.allocate(size);
    ++stats_.system_blocks;
  }
  if (block == nullptr) {
    drop_cache();
    block = source_.allocate(size);
  }
  TARN_CHECK(block != nullptr, "out of memory: ", size, " bytes were asked for while ", stats_.live,
             " are in use; a smaller train.batch_size needs less");
  stats_.live += static_cast<std::int64_t>(size);
  if (stats_.live > stats_.peak) stats_.peak = stats_.live;
  if (kChecked) guard(block, bytes);
  return block;
}

void Allocator::release(void* block, std::size_t bytes) {
  if (block == nullptr) return;
  if (kChecked) check_guard(block, bytes);
  const std::size_t size = block_size(bytes + kGuard);
  const std::lock_guard lock(mutex_);
  stats_.live -= static_cast<std::int64_t>(size);
  if (kCaching) {
    free_[size].push_back(block);
    stats_.cached += static_cast<std::int64_t>(size);
  } else {
    source_.release(block, size);
  }
}

MemoryStats Allocator::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Allocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  stats_.peak = stats_.live;
}

void Allocator::release_cached() {
  const std::lock_guard lock(mutex_);
  drop_cache();
}

void Allocator::drop_cache() {
  for (auto& [size, blocks] : free_) {
    for (void* block : blocks) source_.release(block, size);
    blocks.clear();
  }
  stats_.cached = 0;
}

Allocator& allocator(Device device) {
  TARN_CHECK_AS(DeviceError, device.kind == DeviceKind::cpu, "device ", device,
                ": this build of tarn has no CUDA backend");
  static Allocator cpu({cpu_allocate, cpu_release, cpu_zero});
  return cpu;
}

}  // namespace tarn
