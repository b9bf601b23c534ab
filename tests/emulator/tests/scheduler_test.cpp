// Threads, barriers, collectives and shared memory, in every order of threads.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/emulator/tests/device_memory.h"
#include "tests/emulator/tests/good_kernels.h"

namespace emulator::test {
namespace {

template <class Body>
void in_each_order(const Body& body) {
  for (const Order order : {Order::ascending, Order::descending, Order::random}) {
    for (const std::uint64_t seed : {1, 2, 3}) {
      settings().order = order;
      settings().seed = seed;
      clear_faults();
      body();
      CHECK_MESSAGE(faults().empty(), faults()[0].text);
    }
  }
  settings() = {};
}

std::vector<float> ramp(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 1000) - 300;
  return values;
}

TEST_CASE("scheduler: a transpose through shared tiles, of odd sizes") {
  in_each_order([] {
    for (const auto& [rows, columns] : {std::pair{1U, 1U}, {63U, 100U}, {257U, 31U}}) {
      const std::vector<float> in = ramp(std::size_t{rows} * columns);
      DeviceMemory<float> from(in), to(in.size());
      transpose(from.data(), to.data(), rows, columns, nullptr);
      const std::vector<float> out = to.read();
      bool equal = true;
      for (unsigned r = 0; r < rows; ++r) {
        for (unsigned c = 0; c < columns; ++c) equal &= out[c * rows + r] == in[r * columns + c];
      }
      CHECK(equal);
    }
  });
}

TEST_CASE("scheduler: sums by shuffles have the same bits in every order") {
  std::vector<float> first;
  in_each_order([&] {
    const std::vector<float> in = ramp(1000);
    DeviceMemory<float> from(in), sums(4);
    block_sums(from.data(), sums.data(), 1000, 4, nullptr);
    const std::vector<float> got = sums.read();
    if (first.empty()) first = got;
    CHECK(got == first);
    float all = 0;
    for (const float x : in) all += x;
    CHECK(got[0] + got[1] + got[2] + got[3] == doctest::Approx(all));
  });
}

TEST_CASE("scheduler: collectives of whole and half warps") {
  in_each_order([] {
    DeviceMemory<int> memory(8 * 32);
    collectives(memory.data(), nullptr);
    const std::vector<int> out = memory.read();
    unsigned thirds = 0;
    for (unsigned lane = 0; lane < 32; lane += 3) thirds |= 1U << lane;
    const auto square = [](int lane) { return lane * lane; };
    for (int lane = 0; lane < 32; ++lane) {
      CAPTURE(lane);
      const auto got = [&](int k) { return out[static_cast<std::size_t>(32 * k + lane)]; };
      CHECK(got(0) == 25);
      CHECK(got(1) == square(lane / 8 * 8 + 1));
      CHECK(got(2) == square(lane < 3 ? lane : lane - 3));
      CHECK(got(3) == square(lane % 16 + 3 < 16 ? lane + 3 : lane));
      CHECK(got(4) == square(lane ^ 1));
      CHECK(got(5) == static_cast<int>(thirds));
      CHECK(got(6) == 1);
      CHECK(got(7) == square(lane < 16 ? lane ^ 8 : lane ^ 4));
    }
  });
}

TEST_CASE("scheduler: an asynchronous copy lands when its thread waits") {
  DeviceMemory<float> from(std::vector<float>(64, 2.0F)), to(64);
  scale_staged(from.data(), to.data(), 3, true, nullptr);
  CHECK(to.read() == std::vector<float>(64, 6.0F));
  scale_staged(from.data(), to.data(), 3, false, nullptr);
  CHECK(std::isnan(to.read()[0]));
  clear_faults();
}

TEST_CASE("scheduler: a launch that no device takes is refused") {
  clear_faults();
  DeviceMemory<float> memory(std::vector<float>(8, 0.0F));
  increment(memory.data(), 0, nullptr);  // a grid of no blocks
  REQUIRE(faults().size() == 1);
  CHECK(faults()[0].kind == FaultKind::usage);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  clear_faults();
}

}  // namespace
}  // namespace emulator::test
