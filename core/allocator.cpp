#include "core/allocator.h"

#include <array>
#include <bit>
#include <memory>
#include <utility>

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
// In checked builds every block ends in a band that must still hold its pattern when it is freed.
constexpr std::size_t kGuard = kChecked ? 64 : 0;
constexpr int kGuardByte = 0xA5;
constexpr int kPoisonByte = 0xFF;  // every float and double made of it is NaN

}  // namespace

void Allocator::guard(void* block, std::size_t bytes) const {
  runtime_.fill(device_.index, block, kPoisonByte, bytes);
  runtime_.fill(device_.index, static_cast<std::byte*>(block) + bytes, kGuardByte, kGuard);
}

void Allocator::check_guard(const void* block, std::size_t bytes) const {
  std::array<std::byte, kGuard> band;
  try {
    runtime_.copy_out(device_.index, band.data(), static_cast<const std::byte*>(block) + bytes,
                      kGuard);
  } catch (const DeviceError&) {
    return;  // a kernel failed before; memory is freed in destructors, which cannot say so
  }
  for (std::size_t i = 0; i < kGuard; ++i) {
    TARN_CHECK(band[i] == std::byte{kGuardByte}, "allocator: something wrote ", i,
               " bytes past the end of a block of ", bytes, " bytes");
  }
}

std::size_t Allocator::block_size(std::size_t bytes) {
  if (bytes <= 4 * kAlignment) return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const std::size_t step = std::size_t{1} << (std::bit_width(bytes - 1) - 3);
  return (bytes + step - 1) / step * step;
}

void* Allocator::take(MemoryBlocks& blocks, std::size_t size) {
  const auto found = blocks.find(size);
  if (found == blocks.end() || found->second.empty()) return nullptr;
  void* block = found->second.back();
  found->second.pop_back();
  stats_.cached -= static_cast<std::int64_t>(size);
  return block;
}

void Allocator::put(MemoryBlocks& blocks, std::size_t size, void* block) {
  blocks[size].push_back(block);
  stats_.cached += static_cast<std::int64_t>(size);
}

void Allocator::retire(std::size_t size, void* block) {
  if (kCaching) {
    put(free_, size, block);
  } else {
    runtime_.release(device_.index, block, size);
  }
}

void* Allocator::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  TARN_CHECK(bytes <= kLargest, "out of memory on ", device_, ": ", bytes, " bytes were asked for");
  const std::size_t size = block_size(bytes + kGuard);
  const std::lock_guard lock(mutex_);
  void* block = held_ ? take(held_->released, size) : nullptr;
  if (block == nullptr) block = take(free_, size);
  if (block == nullptr) {
    block = runtime_.allocate(device_.index, size);
    ++stats_.system_blocks;
  }
  if (block == nullptr) {
    drop_cache();
    block = runtime_.allocate(device_.index, size);
  }
  if (block == nullptr) fail_out_of_memory(size);
  if (held_) held_->in_use.insert(block);
  stats_.live += static_cast<std::int64_t>(size);
  if (stats_.live > stats_.peak) stats_.peak = stats_.live;
  if (kChecked) guard(block, bytes);
  return block;
}

void Allocator::fail_out_of_memory(std::size_t size) const {
  const std::int64_t free = runtime_.free_bytes(device_.index);
  fail<Error>("out of memory on ", device_, ": ", size, " bytes were asked for while ", stats_.live,
              " are in use", free < 0 ? "" : message(" and ", free, " free"),
              "; a smaller train.batch_size, more train.accumulate or train.recompute need less");
}

void Allocator::release(void* block, std::size_t bytes) {
  if (block == nullptr) return;
  if (kChecked) check_guard(block, bytes);
  const std::size_t size = block_size(bytes + kGuard);
  const std::lock_guard lock(mutex_);
  stats_.live -= static_cast<std::int64_t>(size);
  if (!held_) return retire(size, block);
  held_->in_use.erase(block);
  put(held_->released, size, block);
}

void Allocator::hold() {
  const std::lock_guard lock(mutex_);
  TARN_CHECK(!held_, "allocator: blocks of ", device_, " are held already");
  held_.emplace();
}

MemoryBlocks Allocator::end_hold() {
  {
    const std::lock_guard lock(mutex_);
    if (held_->in_use.empty()) {
      MemoryBlocks blocks = std::move(held_->released);
      held_.reset();
      for (const auto& [size, of_size] : blocks) {
        const auto bytes = static_cast<std::int64_t>(size * of_size.size());
        stats_.cached -= bytes;
        stats_.live += bytes;
      }
      return blocks;
    }
  }
  cancel_hold();
  fail<Error>("allocator: a tensor on ", device_, " outlives the work that is recorded");
}

void Allocator::cancel_hold() {
  const std::lock_guard lock(mutex_);
  if (!held_) return;
  const MemoryBlocks blocks = std::move(held_->released);
  held_.reset();
  for (const auto& [size, of_size] : blocks) {
    stats_.cached -= static_cast<std::int64_t>(size * of_size.size());
    for (void* block : of_size) retire(size, block);
  }
}

void Allocator::give_back(const MemoryBlocks& blocks) {
  const std::lock_guard lock(mutex_);
  for (const auto& [size, of_size] : blocks) {
    stats_.live -= static_cast<std::int64_t>(size * of_size.size());
    for (void* block : of_size) retire(size, block);
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
    for (void* block : blocks) runtime_.release(device_.index, block, size);
    stats_.cached -= static_cast<std::int64_t>(size * blocks.size());
    blocks.clear();
  }
}

Allocator& allocator(Device device) {
  static Allocator cpu(*device_runtime(DeviceKind::cpu), Device::cpu());
  if (device == Device::cpu()) return cpu;
  const DeviceRuntime& runtime = runtime_of(device);
  static std::mutex mutex;
  // By index. Never destroyed: a device's runtime may be gone before the program's static objects.
  static auto& others = *new std::vector<std::unique_ptr<Allocator>>;
  const std::lock_guard lock(mutex);
  const auto index = static_cast<std::size_t>(device.index);
  if (others.size() <= index) others.resize(index + 1);
  if (others[index] == nullptr) others[index] = std::make_unique<Allocator>(runtime, device);
  return *others[index];
}

}  // namespace tarn
