#include "core/allocator.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "core/check.h"

namespace tarn {
namespace {

#if defined(TARN_CHECKED)
constexpr std::size_t kGuard = 64;
#else
constexpr std::size_t kGuard = 0;
#endif

// A system of its own, whose blocks are counted and can run out.
int system_live = 0;
int system_limit = 0;

void* limited_allocate(std::int32_t /*index*/, std::size_t bytes) {
  if (system_live == system_limit) return nullptr;
  ++system_live;
  return std::aligned_alloc(64, bytes);
}

void limited_release(std::int32_t /*index*/, void* block, std::size_t /*bytes*/) {
  --system_live;
  std::free(block);
}

DeviceRuntime limited_source(int blocks) {
  system_live = 0;
  system_limit = blocks;
  DeviceRuntime runtime = *device_runtime(DeviceKind::cpu);
  runtime.allocate = limited_allocate;
  runtime.release = limited_release;
  return runtime;
}

// False under the address sanitizer, where every block goes back at once.
bool caches() {
  Allocator probe(limited_source(1), Device::cpu());
  probe.release(probe.allocate(1), 1);
  return probe.stats().cached > 0;
}

TEST_CASE("allocator: a block is never more than twice the request") {
  for (std::size_t bytes = 1; bytes <= 5000; ++bytes) {
    const std::size_t size = Allocator::block_size(bytes);
    REQUIRE(size >= bytes);
    REQUIRE(size % 64 == 0);
    if (bytes >= 32) REQUIRE(size <= 2 * bytes);  // below, the alignment decides
    if (bytes > 256) REQUIRE(4 * size <= 5 * bytes + 256);
  }
}

TEST_CASE("allocator: sizes of blocks grow with the request and are sizes of themselves") {
  std::size_t last = 0;
  for (int power = 6; power < 45; ++power) {
    for (int eighth = 8; eighth < 16; ++eighth) {
      const std::size_t bytes = (std::size_t{1} << power) / 8 * static_cast<std::size_t>(eighth);
      for (const std::size_t near : {bytes - 1, bytes, bytes + 1}) {
        const std::size_t size = Allocator::block_size(near);
        REQUIRE(size >= last);
        REQUIRE(size <= 2 * near);
        REQUIRE(Allocator::block_size(size) == size);
        last = size;
      }
    }
  }
}

TEST_CASE("allocator: blocks are aligned to 64 bytes and can be written to the last byte") {
  Allocator& cpu = allocator(Device::cpu());
  for (const std::size_t bytes : {1u, 63u, 64u, 65u, 257u, 4097u, 1u << 20, (4u << 20) + 1}) {
    void* block = cpu.allocate(bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % 64 == 0);
    std::memset(block, 1, bytes);
    cpu.zero(block, bytes);
    CHECK(static_cast<const char*>(block)[bytes - 1] == 0);
    cpu.release(block, bytes);
  }
}

TEST_CASE("allocator: a freed block serves the next request of its size") {
  if (!caches()) return;
  Allocator cpu(limited_source(10), Device::cpu());
  void* first = cpu.allocate(1000);
  cpu.release(first, 1000);
  CHECK(cpu.allocate(990) == first);
  CHECK(cpu.allocate(1000) != first);
  CHECK(cpu.stats().system_blocks == 2);
  cpu.release(first, 990);
  CHECK(cpu.allocate(4000) != first);  // another class
}

TEST_CASE("allocator: statistics follow what is in use and what waits") {
  const bool cached = caches();
  Allocator cpu(limited_source(10), Device::cpu());
  const auto block = static_cast<std::int64_t>(Allocator::block_size(1000 + kGuard));
  void* a = cpu.allocate(1000);
  void* b = cpu.allocate(1000);
  CHECK(cpu.stats().live == 2 * block);
  cpu.release(b, 1000);
  CHECK(cpu.stats().live == block);
  CHECK(cpu.stats().peak == 2 * block);
  CHECK(cpu.stats().cached == (cached ? block : 0));
  CHECK(cpu.stats().system_blocks == 2);
  void* small = cpu.allocate(10);  // which is below the peak
  CHECK(cpu.stats().peak == 2 * block);
  cpu.release(small, 10);
  cpu.release_cached();
  cpu.reset_peak();
  CHECK(cpu.stats().peak == block);
  cpu.release_cached();
  CHECK(cpu.stats().cached == 0);
  CHECK(system_live == 1);
  cpu.release(a, 1000);
}

TEST_CASE("allocator: nothing is allocated for nothing") {
  Allocator cpu(limited_source(0), Device::cpu());
  CHECK(cpu.allocate(0) == nullptr);
  cpu.release(nullptr, 0);
  CHECK(cpu.stats().system_blocks == 0);
}

TEST_CASE("allocator: waiting blocks are given up before memory counts as out") {
  Allocator cpu(limited_source(1), Device::cpu());
  cpu.release(cpu.allocate(1000), 1000);
  void* other = cpu.allocate(9000);
  CHECK(other != nullptr);
  CHECK(system_live == 1);
  CHECK_THROWS_WITH_AS(cpu.allocate(1), doctest::Contains("out of memory on cpu: "), Error);
  cpu.release(other, 9000);
}

TEST_CASE("allocator: a size that no rounding can hold is out of memory") {
  CHECK_THROWS_WITH_AS(allocator(Device::cpu()).allocate(SIZE_MAX),
                       doctest::Contains("out of memory on cpu: "), Error);
  CHECK_THROWS_AS(allocator(Device::cpu()).allocate(SIZE_MAX - 100), Error);
}

TEST_CASE("allocator: its end gives every waiting block back") {
  {
    Allocator cpu(limited_source(10), Device::cpu());
    for (const std::size_t bytes : {100u, 200u, 3000u}) cpu.release(cpu.allocate(bytes), bytes);
  }
  CHECK(system_live == 0);
}

TEST_CASE("allocator: what is held serves nobody else, and comes back") {
  const bool cached = caches();
  Allocator cpu(limited_source(10), Device::cpu());
  const auto block = static_cast<std::int64_t>(Allocator::block_size(1000 + kGuard));
  void* before = cpu.allocate(1000);
  cpu.hold();
  void* a = cpu.allocate(1000);
  cpu.release(a, 1000);
  CHECK(cpu.allocate(1000) == a);  // within the time it is used again
  cpu.release(a, 1000);
  cpu.release(before, 1000);  // and so is what was there before
  const MemoryBlocks held = cpu.end_hold();
  CHECK(cpu.stats().live == 2 * block);
  CHECK(cpu.stats().cached == 0);
  void* other = cpu.allocate(1000);
  CHECK(other != a);
  CHECK(other != before);
  cpu.release(other, 1000);
  cpu.give_back(held);
  CHECK(cpu.stats().live == 0);
  CHECK(cpu.stats().cached == (cached ? 3 * block : 0));

  cpu.hold();
  void* left = cpu.allocate(1000);
  CHECK_THROWS_WITH_AS(cpu.end_hold(), doctest::Contains("outlives"), Error);
  cpu.hold();  // nothing is held after it
  cpu.cancel_hold();
  cpu.release(left, 1000);
  CHECK(cpu.stats().live == 0);
}

TEST_CASE("allocator: a device that this build lacks is an error that names it") {
  CHECK_THROWS_WITH_AS(allocator(Device::cuda(3)), doctest::Contains("cuda:3"), DeviceError);
}

#if defined(TARN_CHECKED)
TEST_CASE("allocator: fresh and reused blocks are NaN") {
  Allocator cpu(limited_source(10), Device::cpu());
  for (int round = 0; round < 2; ++round) {
    auto* block = static_cast<float*>(cpu.allocate(257 * sizeof(float)));
    for (int i = 0; i < 257; ++i) REQUIRE(std::isnan(block[i]));
    for (int i = 0; i < 257; ++i) block[i] = 1;
    cpu.release(block, 257 * sizeof(float));
  }
}

TEST_CASE("allocator: a write past the end is found when the block is freed") {
  Allocator cpu(limited_source(10), Device::cpu());
  auto* block = static_cast<unsigned char*>(cpu.allocate(100));
  const unsigned char kept = block[102];
  block[102] = 0;
  CHECK_THROWS_WITH_AS(cpu.release(block, 100),
                       "allocator: something wrote 2 bytes past the end of a block of 100 bytes",
                       Error);
  block[102] = kept;
  cpu.release(block, 100);
}

TEST_CASE("allocator: a block is freed in silence where a kernel that failed spoils the reading") {
  DeviceRuntime failing = limited_source(10);
  failing.copy_out = [](std::int32_t, void*, const void*, std::size_t) {
    fail<DeviceError>("a launch failed");
  };
  Allocator cpu(failing, Device::cpu());
  cpu.release(cpu.allocate(100), 100);
  CHECK(cpu.stats().live == 0);
}
#endif

TEST_CASE("allocator: threads may share one [thread]") {
  Allocator& cpu = allocator(Device::cpu());
  const std::int64_t live = cpu.stats().live;
  std::vector<int> spoiled(4, 0);
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cpu, &spoiled, t] {
      for (int round = 0; round < 500; ++round) {
        const auto bytes = static_cast<std::size_t>(1 + (round * 37 + t) % 700);
        auto* block = static_cast<unsigned char*>(cpu.allocate(bytes));
        std::memset(block, t, bytes);
        std::this_thread::yield();
        for (std::size_t i = 0; i < bytes; ++i) {
          spoiled[static_cast<std::size_t>(t)] += block[i] != t;
        }
        cpu.release(block, bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(spoiled == std::vector<int>(4, 0));
  CHECK(cpu.stats().live == live);
}

}  // namespace
}  // namespace tarn
