// The caching allocator of each device. A freed block is kept and serves a later request of its
// size class, because fresh pages cost a training step more than its arithmetic does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "core/device_runtime.h"

namespace tarn {

struct MemoryStats {
  std::int64_t live = 0;           // bytes in blocks that are in use
  std::int64_t peak = 0;           // the largest live since the last reset_peak()
  std::int64_t cached = 0;         // bytes in blocks that wait for reuse
  std::int64_t system_blocks = 0;  // blocks ever asked of the system
};

using MemoryBlocks = std::map<std::size_t, std::vector<void*>>;  // by block size

// Thread-safe. Blocks are aligned to 64 bytes; large ones ask for huge pages.
class Allocator {
 public:
  // Memory of a device, as its runtime gives it out.
  Allocator(const DeviceRuntime& runtime, Device device) : runtime_(runtime), device_(device) {}
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;
  ~Allocator() { release_cached(); }

  // A block of at least this many bytes, not initialised (NaN-filled in checked builds); nullptr
  // for 0 bytes. Throws Error when the memory cannot be had even after dropping the cache.
  void* allocate(std::size_t bytes);
  void release(void* block, std::size_t bytes);  // with the bytes that were asked for
  void zero(void* block, std::size_t bytes) const { runtime_.fill(device_.index, block, 0, bytes); }

  // From hold() to end_hold() released blocks serve the requests of this time alone; end_hold()
  // gives them out, and they stay in use until give_back(). For work that is recorded here and done
  // later, in whose memory nothing else may lie. Throws Error if a block that was allocated in
  // this time is not released yet; then, as after cancel_hold(), nothing is held.
  void hold();
  MemoryBlocks end_hold();
  void cancel_hold();
  void give_back(const MemoryBlocks& blocks);

  MemoryStats stats() const;
  void reset_peak();
  void release_cached();  // gives every waiting block back to the system

  // The block size that serves a request: four classes a doubling, so that little is wasted and a
  // block never serves a request under half its size (but for the smallest, of 64 bytes).
  static std::size_t block_size(std::size_t bytes);

 private:
  // What is held between hold() and end_hold().
  struct Held {
    MemoryBlocks released;
    std::set<void*> in_use;  // that were allocated in this time
  };

  // The mutex is held in these.
  void* take(MemoryBlocks& blocks, std::size_t size);
  void put(MemoryBlocks& blocks, std::size_t size, void* block);
  void retire(std::size_t size, void* block);  // to the cache, or the system
  void drop_cache();
  [[noreturn]] void fail_out_of_memory(std::size_t size) const;

  void guard(void* block, std::size_t bytes) const;  // of checked builds
  void check_guard(const void* block, std::size_t bytes) const;

  DeviceRuntime runtime_;
  Device device_;
  mutable std::mutex mutex_;
  MemoryBlocks free_;
  std::optional<Held> held_;
  MemoryStats stats_;
};

// The allocator of a device; it lives as long as the program. DeviceError for a device that is not
// there.
Allocator& allocator(Device device);

}  // namespace tarn
