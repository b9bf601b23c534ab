// Work that is recorded and done again, on every device.
#include "core/replay.h"

#include <doctest/doctest.h>

#include <vector>

#include "core/device_copy.h"
#include "core/transfer.h"
#include "tests/support/devices.h"

namespace tarn {
namespace {

Tensor filled(const std::vector<float>& values, Device device) {
  return from_values<float>(values, {static_cast<std::int64_t>(values.size())}, device);
}

std::vector<float> values_of(const Tensor& tensor) {
  const Tensor host = copy_to(tensor, Device::cpu());
  return {host.data<float>(), host.data<float>() + host.elements()};
}

constexpr std::int64_t kCount = 100;

// Moves `from` to `to` by way of two tensors of its own.
void move_by_others(const Tensor& from, const Tensor& to) {
  const Tensor first = copy_to(from, from.device());
  const Tensor second = copy_to(first, from.device());
  copy_into(second, to);
}

TEST_CASE("replay: each run does the work on what is there then") {
  test::for_each_device([](Device device) {
    const Tensor from = Tensor::empty({kCount}, DType::f32, device);
    const Tensor to = Tensor::zeros({kCount}, DType::f32, device);
    Replay replay(device, [&] { move_by_others(from, to); });
    for (float value = 1; value < 6; ++value) {
      copy_into(filled(std::vector<float>(kCount, value), device), from);
      replay.run();
      CHECK(values_of(to) == std::vector<float>(kCount, value));
    }
  });
}

TEST_CASE("replay: memory of the recorded work is no one else's until it is gone") {
  test::for_each_device([](Device device) {
    const std::int64_t live = allocator(device).stats().live;
    {
      const Tensor from = filled(std::vector<float>(kCount, 7), device);
      const Tensor to = Tensor::zeros({kCount}, DType::f32, device);
      Replay replay(device, [&] { move_by_others(from, to); });
      replay.run();
      replay.run();
      // As large as what the work made, and more of them.
      std::vector<Tensor> others;
      for (float i = 0; i < 6; ++i) others.push_back(filled(std::vector<float>(kCount, i), device));
      replay.run();
      for (std::size_t i = 0; i < others.size(); ++i) {
        CHECK(values_of(others[i])[kCount - 1] == static_cast<float>(i));
      }
      CHECK(values_of(to)[0] == 7);
    }
    CHECK(allocator(device).stats().live == live);
  });
}

TEST_CASE("replay: what cannot be recorded is refused, and nothing is kept of it") {
  test::for_each_device([](Device device) {
    if (device == Device::cpu()) return;
    const Tensor x = filled({1, 2, 3}, device);
    const std::int64_t live = allocator(device).stats().live;
    Tensor left;
    Replay reads(device, [&] { copy_to(x, Device::cpu()); });
    Replay writes(device, [&] { copy_into(filled({4, 5, 6}, Device::cpu()), x); });
    Replay keeps(device, [&] { left = copy_to(x, device); });
    for (Replay* replay : {&reads, &writes, &keeps}) {
      replay->run();
      CHECK_THROWS_AS(replay->run(), Error);
      left = {};
      CHECK(allocator(device).stats().live == live);
    }
    CHECK(values_of(x) == std::vector<float>{4, 5, 6});  // the device is as it was
  });
}

// Batches that are used while the next is on its way, in memory that comes from a cache.
void check_copies_beside(Device device) {
  const Tensor sum = Tensor::zeros({64}, DType::f32, device);
  const auto batch = [&](int i) {
    return DeviceCopy(filled(std::vector<float>(64, static_cast<float>(i)), Device::cpu()), device);
  };
  std::vector<Tensor> kept;
  DeviceCopy next = batch(0);
  for (int i = 0; i < 12; ++i) {
    DeviceCopy now = std::move(next);
    next = batch(i + 1);
    copy_into(now.tensor(), sum);
    if (i % 3 == 0) batch(100);  // that nobody waits for, and whose memory is the next one's
    kept.push_back(copy_to(sum, device));
  }
  for (int i = 0; i < 12; ++i) {
    CHECK(values_of(kept[static_cast<std::size_t>(i)]) ==
          std::vector<float>(64, static_cast<float>(i)));
  }
}

TEST_CASE("device copy: batches arrive before they are read, and after what was read before") {
  test::for_each_device([](Device device) {
#if defined(TARN_EMULATED)
    using emulator::Schedule;
    for (const Schedule schedule : {Schedule::late, Schedule::eager, Schedule::random}) {
      emulator::settings().schedule = schedule;
      for (emulator::settings().seed = 1; emulator::settings().seed < 20;
           ++emulator::settings().seed) {
        check_copies_beside(device);
      }
    }
    emulator::settings() = {};
#else
    check_copies_beside(device);
#endif
  });
}

}  // namespace
}  // namespace tarn
