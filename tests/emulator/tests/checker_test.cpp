// The checkers are checked: every planted fault is reported with its kernel and line, and kernels
// that are right are not.
#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/emulator/tests/device_memory.h"
#include "tests/emulator/tests/planted_faults.h"
#include "tests/support/paths.h"

namespace emulator::test {
namespace {

// "planted_faults.cu:17" for the line that holds the marker.
std::string place_of(const std::string& marker) {
  std::ifstream source(tarn::test::source_dir() / "tests/emulator/tests/planted_faults.cu");
  std::string line;
  for (int number = 1; std::getline(source, line); ++number) {
    if (line.ends_with(marker)) return "planted_faults.cu:" + std::to_string(number);
  }
  return "no line has " + marker;
}

const Fault* first_of(FaultKind kind) {
  for (const Fault& fault : faults()) {
    if (fault.kind == kind) return &fault;
  }
  return nullptr;
}

TEST_CASE("checker: each planted fault is reported with its kernel and line") {
  std::size_t count = 0;
  const PlantedFault* planted = planted_faults(count);
  REQUIRE(count == 13);
  for (const Order order : {Order::ascending, Order::descending, Order::random}) {
    settings().order = order;
    for (std::size_t i = 0; i < count; ++i) {
      const PlantedFault& fault = planted[i];
      CAPTURE(fault.kernel);
      if (!checking() && !fault.seen_unchecked) continue;  // it would go through, and do harm
      clear_faults();
      DeviceMemory<float> memory(std::vector<float>(256, 1.0F));
      std::vector<float> host(256, 1.0F);
      fault.launch(memory.data(), 256, host.data());
      cudaDeviceSynchronize();
      const Fault* reported = first_of(fault.kind);
      REQUIRE_MESSAGE(reported != nullptr, (faults().empty() ? "no fault" : faults()[0].text));
      CHECK(reported->kernel == fault.kernel);
      CHECK_MESSAGE(reported->text.find(place_of(fault.marker)) != std::string::npos,
                    reported->text, " must name ", place_of(fault.marker));
      CHECK(reported->text.find("block (") != std::string::npos);
      CHECK(reported->text.find("thread (") != std::string::npos);
      CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
    }
  }
  settings().order = Order::ascending;
  clear_faults();
}

TEST_CASE("checker: what is right is not reported") {
  for (const Order order : {Order::ascending, Order::descending, Order::random}) {
    settings().order = order;
    clear_faults();
    std::vector<float> numbers(256);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
    DeviceMemory<float> memory(numbers);
    launch_correct_warps(memory.data(), numbers.size());
    CHECK(memory.read()[31] == 0.0F);
    CHECK(memory.read()[32] == 33.0F);
    DeviceMemory<int> sum(std::vector<int>{0});
    launch_correct_atomics(sum.data(), 9);
    CHECK(sum.read()[0] == 9 * 128);
    CHECK_MESSAGE(faults().empty(), faults()[0].text);
  }
  settings().order = Order::ascending;
}

}  // namespace
}  // namespace emulator::test
