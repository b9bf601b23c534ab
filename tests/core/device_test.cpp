// Tensors on every device that the build has: the CPU, and CUDA's, which may be emulated.
#include "core/device.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "core/allocator.h"
#include "core/device_runtime.h"
#include "core/transfer.h"
#include "tests/support/devices.h"

namespace tarn {
namespace {

using test::devices;

TEST_CASE("device: elements come back from it, of any count and dtype") {
  for (const Device device : devices()) {
    CAPTURE(device.str());
    for (const std::int64_t count : {0, 1, 63, 100, 257}) {
      std::vector<double> doubles(static_cast<std::size_t>(count));
      std::iota(doubles.begin(), doubles.end(), -3.0);
      const std::vector<std::int32_t> whole(doubles.begin(), doubles.end());
      const Tensor there = from_values<double>(doubles, {count}, device);
      CHECK(there.device() == device);
      const Tensor back = copy_to(copy_to(there, device), Device::cpu());
      CHECK(std::equal(doubles.begin(), doubles.end(), back.data<double>()));
      const Tensor i = copy_to(from_values<std::int32_t>(whole, {count}, device), Device::cpu());
      CHECK(std::equal(whole.begin(), whole.end(), i.data<std::int32_t>()));
    }
  }
}

TEST_CASE("device: cuda is a process's own, counted round where there are fewer") {
  const auto count = static_cast<std::int32_t>(devices().size()) - 1;  // beside the CPU
  if (count == 0) return;
  CHECK(parse_device("cuda") == Device::cuda(0));
  set_place_among_processes(2 * count - 1);
  CHECK(parse_device("cuda") == Device::cuda(count - 1));
  CHECK(parse_device("cuda:0") == Device::cuda(0));
  set_place_among_processes(0);
}

TEST_CASE("device: zeros are zero, items are read, views of a device's tensor are copied") {
  for (const Device device : devices()) {
    CAPTURE(device.str());
    const Tensor zeros = copy_to(Tensor::zeros({5, 7}, DType::f32, device), Device::cpu());
    CHECK(std::accumulate(zeros.data<float>(), zeros.data<float>() + 35, 0.0F) == 0.0F);
    const std::vector<float> values = {1, 2, 3, 4, 5, 6};
    const Tensor x = from_values<float>(values, {3, 2}, device);
    CHECK(item(x.slice(0, 2, 1).view({2}).slice(0, 1, 1)) == 6.0);
    CHECK(copy_to(x.slice(0, 1, 2), Device::cpu()).data<float>()[0] == 3.0F);
    copy_into(from_values<float>(std::vector<float>{9, 8}, {1, 2}, Device::cpu()),
              x.slice(0, 1, 1));
    CHECK(item(x.slice(0, 1, 1).view({2}).slice(0, 1, 1)) == 8.0);
  }
}

TEST_CASE("device: a tensor that is not contiguous is gathered on the CPU alone") {
  for (const Device device : devices()) {
    CAPTURE(device.str());
    const Tensor x = from_values<float>(std::vector<float>{1, 2, 3, 4}, {2, 2}, device);
    const Tensor turned = x.transpose(0, 1);
    if (device == Device::cpu()) {
      CHECK(copy_to(turned, device).data<float>()[1] == 3.0F);
    } else {
      CHECK_THROWS_WITH_AS(copy_to(turned, Device::cpu()), doctest::Contains("kernel copy"),
                           DeviceError);
    }
  }
}

TEST_CASE("device: a host copy has the elements of when it was asked for") {
  for (const Device device : devices()) {
    CAPTURE(device.str());
    std::vector<HostCopy> copies;
    const Tensor x = from_values<double>(std::vector<double>{1, 2, 3}, {3}, device);
    for (double next = 0; next < 3; ++next) {
      copies.emplace_back(x);
      copy_into(from_values<double>(std::vector<double>{next, next, next}, {3}, device), x);
    }
    HostCopy last(x.slice(0, 1, 1));
    CHECK(last.wait<double>().front() == 2.0);
    CHECK(copies[2].wait<double>()[2] == 1.0);
    CHECK(copies[1].wait<double>()[2] == 0.0);
    CHECK(copies[0].wait<double>()[2] == 3.0);
    CHECK(copies[0].wait<double>().size() == 3);
    CHECK_THROWS_WITH_AS(copies[0].wait<float>(), doctest::Contains("f64"), DTypeError);
    CHECK_THROWS_AS(HostCopy(Tensor::zeros({2, 2}, DType::f32, device).transpose(0, 1)),
                    ShapeError);
  }
}

TEST_CASE("device: what does not fit says what was asked for, what is in use and what is free") {
  for (const Device device : devices()) {
    if (device == Device::cpu()) continue;
    const Tensor held = Tensor::empty({1000}, DType::f32, device);
    const auto free = runtime_of(device).free_bytes(device.index);
    REQUIRE(free > 0);
    for (const char* part : {"bytes were asked for", "in use and", "free; a smaller train.batch"}) {
      CHECK_THROWS_WITH_AS(Tensor::empty({free + 1}, DType::u8, device), doctest::Contains(part),
                           Error);
    }
  }
}

TEST_CASE("device: memory is counted for each by itself") {
  for (const Device device : devices()) {
    CAPTURE(device.str());
    const std::int64_t before = allocator(device).stats().live;
    const Tensor x = Tensor::empty({1000}, DType::f32, device);
    CHECK(allocator(device).stats().live - before >= 4000);
    for (const Device other : devices()) {
      if (other == device) continue;
      const std::int64_t live = allocator(other).stats().live;
      const Tensor y = Tensor::empty({10}, DType::f32, device);
      CHECK(allocator(other).stats().live == live);
    }
  }
}

TEST_CASE("device: names that are none, and devices that are not there") {
  CHECK(parse_device("cpu") == Device::cpu());
  for (const char* name : {"", "tpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda1"}) {
    CAPTURE(name);
    CHECK_THROWS_WITH_AS(parse_device(name), doctest::Contains("is not a device"), DeviceError);
  }
  CHECK_THROWS_WITH_AS(parse_device("cuda:77"),
                       doctest::Contains("device cuda:77 is not available"), DeviceError);
  const DeviceRuntime* cuda = device_runtime(DeviceKind::cuda);
  if (cuda == nullptr) {
    CHECK_THROWS_WITH_AS(parse_device("cuda"), doctest::Contains("no CUDA backend"), DeviceError);
  } else if (cuda->count() == 0) {
    CHECK_THROWS_WITH_AS(parse_device("cuda"), doctest::Contains("driver"), DeviceError);
  } else {
    CHECK(parse_device("cuda") == Device::cuda(0));
    CHECK(parse_device("cuda:0") == Device::cuda(0));
  }
}

}  // namespace
}  // namespace tarn
