// Streams, events and graphs.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/emulator/tests/device_memory.h"
#include "tests/emulator/tests/good_kernels.h"

namespace emulator::test {
namespace {

cudaStream_t new_stream() {
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  return stream;
}

TEST_CASE("streams: what is queued is done when something waits for it") {
  clear_faults();
  DeviceMemory<float> memory(std::vector<float>(4, 0.0F));
  float* pinned = nullptr;
  cudaMallocHost(&pinned, 4 * sizeof(float));
  cudaStream_t stream = new_stream();
  increment(memory.data(), 4, stream);
  cudaMemcpyAsync(pinned, memory.data(), 4 * sizeof(float), cudaMemcpyDeviceToHost, stream);
  CHECK(std::isnan(pinned[0]));  // nobody has waited
  cudaStreamSynchronize(stream);
  CHECK(pinned[3] == 1.0F);
  cudaStreamDestroy(stream);
  cudaFreeHost(pinned);
  CHECK(faults().empty());
}

TEST_CASE("streams: pinned memory is read when the copy runs, pageable memory at once") {
  cudaStream_t stream = new_stream();
  DeviceMemory<float> a(1), b(1);
  float* pinned = nullptr;
  cudaMallocHost(&pinned, sizeof(float));
  float pageable = *pinned = 1;
  cudaMemcpyAsync(a.data(), pinned, sizeof(float), cudaMemcpyHostToDevice, stream);
  cudaMemcpyAsync(b.data(), &pageable, sizeof(float), cudaMemcpyHostToDevice, stream);
  pageable = *pinned = 2;  // a mistake for pinned memory: the copy has not run
  cudaStreamSynchronize(stream);
  CHECK(a.read()[0] == 2.0F);
  CHECK(b.read()[0] == 1.0F);
  cudaStreamDestroy(stream);
  cudaFreeHost(pinned);
}

TEST_CASE("streams: an event orders two streams, and only it does") {
  cudaStream_t first = new_stream(), second = new_stream();
  cudaEvent_t event = nullptr;
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  for (const bool ordered : {false, true}) {
    DeviceMemory<float> a(std::vector<float>(1, 0.0F)), b(std::vector<float>(1, 5.0F));
    increment(a.data(), 1, first);
    cudaEventRecord(event, first);
    CHECK(cudaEventQuery(event) == cudaErrorNotReady);
    increment(a.data(), 1, first);
    if (ordered) cudaStreamWaitEvent(second, event);
    cudaMemcpyAsync(b.data(), a.data(), sizeof(float), cudaMemcpyDeviceToDevice, second);
    cudaStreamSynchronize(second);
    float got = 0;
    cudaMemcpyAsync(&got, b.data(), sizeof(float), cudaMemcpyDeviceToHost, second);
    // Without the wait the query did the first increment, and nothing has done the second.
    CHECK(got == 1.0F);
    CHECK(cudaEventQuery(event) == (ordered ? cudaSuccess : cudaErrorNotReady));
    cudaStreamSynchronize(first);
  }
  cudaEventDestroy(event);
  cudaStreamDestroy(first);
  cudaStreamDestroy(second);
}

TEST_CASE("streams: a captured graph runs as often as it is launched") {
  clear_faults();
  cudaStream_t stream = new_stream();
  DeviceMemory<float> memory(std::vector<float>(3, 0.0F));
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  increment(memory.data(), 3, stream);
  increment(memory.data(), 2, stream);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
  CHECK(faults().size() == 1);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  CHECK(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  cudaGraphInstantiate(&executable, graph);
  cudaGraphDestroy(graph);
  counters() = {};
  for (int i = 0; i < 5; ++i) cudaGraphLaunch(executable, stream);
  cudaStreamSynchronize(stream);
  CHECK(memory.read() == std::vector<float>{10, 10, 5});
  CHECK(counters().launches == 10);
  CHECK(counters().graph_launches == 5);
  CHECK(counters().waits == 2);
  cudaGraphExecDestroy(executable);
  cudaStreamDestroy(stream);
  clear_faults();
}

TEST_CASE("streams: a graph whose memory was freed is a fault, also where new memory lies there") {
  clear_faults();
  cudaStream_t stream = new_stream();
  void* freed = nullptr;
  cudaMalloc(&freed, 400);
  DeviceMemory<float> memory(std::vector<float>(3, 0.0F));
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
  increment(memory.data(), 3, stream);
  cudaMemcpyAsync(memory.data(), freed, 4, cudaMemcpyDeviceToDevice, stream);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  cudaStreamEndCapture(stream, &graph);
  cudaGraphInstantiate(&executable, graph);
  CHECK(cudaGraphLaunch(executable, stream) == cudaSuccess);
  cudaStreamSynchronize(stream);
  cudaFree(freed);
  clear_faults();
  for (const bool again : {false, true}) {
    if (again) cudaMalloc(&freed, 400);
    CHECK(cudaGraphLaunch(executable, stream) == cudaErrorInvalidValue);
    REQUIRE(faults().size() == 1);
    CHECK(faults()[0].text.find("cudaMemcpy in a graph: the memory at") == 0);
    clear_faults();
  }
  cudaGetLastError();
  cudaFree(freed);
  cudaGraphDestroy(graph);
  cudaGraphExecDestroy(executable);
  cudaStreamDestroy(stream);
}

TEST_CASE("streams: memory is given out during a capture only if it is relaxed") {
  cudaStream_t stream = new_stream();
  for (const auto mode : {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal,
                          cudaStreamCaptureModeRelaxed}) {
    const bool relaxed = mode == cudaStreamCaptureModeRelaxed;
    clear_faults();
    cudaStreamBeginCapture(stream, mode);
    void* memory = nullptr;
    CHECK(cudaMalloc(&memory, 4) == (relaxed ? cudaSuccess : cudaErrorStreamCaptureUnsupported));
    CHECK(faults().size() == (relaxed ? 0 : 1));
    cudaGetLastError();
    cudaGraph_t graph = nullptr;
    cudaStreamEndCapture(stream, &graph);
    cudaGraphDestroy(graph);
    cudaFree(memory);
  }
  cudaStreamDestroy(stream);
  clear_faults();
}

// What a second stream makes of memory that a first one increments and that it copies from and to,
// with the events that order them or without one of them.
std::vector<float> two_streams(bool waits_before_read, bool waits_before_write) {
  cudaStream_t first = new_stream(), second = new_stream();
  cudaEvent_t incremented = nullptr, read = nullptr;
  cudaEventCreate(&incremented);
  cudaEventCreate(&read);
  DeviceMemory<float> shared(std::vector<float>(1, 0.0F)), copies(std::vector<float>(4, 0.0F));
  for (int i = 0; i < 4; ++i) {
    increment(shared.data(), 1, first);
    cudaEventRecord(incremented, first);
    if (waits_before_read) cudaStreamWaitEvent(second, incremented);
    cudaMemcpyAsync(copies.data() + i, shared.data(), sizeof(float), cudaMemcpyDeviceToDevice,
                    second);
    cudaEventRecord(read, second);
    if (waits_before_write) cudaStreamWaitEvent(first, read);
  }
  cudaStreamSynchronize(first);
  cudaStreamSynchronize(second);
  cudaEventDestroy(incremented);
  cudaEventDestroy(read);
  cudaStreamDestroy(first);
  cudaStreamDestroy(second);
  return copies.read();
}

TEST_CASE("streams: at random: any event that is missing between them shows") {
  settings().schedule = Schedule::random;
  const std::vector<float> expected = {1, 2, 3, 4};
  for (const bool read : {false, true}) {
    for (const bool write : {false, true}) {
      CAPTURE(read);
      CAPTURE(write);
      int wrong = 0;
      for (settings().seed = 1; settings().seed <= 20; ++settings().seed) {
        wrong += two_streams(read, write) == expected ? 0 : 1;
      }
      CHECK((wrong > 0) == !(read && write));
    }
  }
  settings() = {};
  clear_faults();
}

TEST_CASE("streams: a copy that nobody waits for has not happened") {
  cudaStream_t copies = new_stream(), computes = new_stream();
  float* pinned = nullptr;
  cudaMallocHost(&pinned, sizeof(float));
  *pinned = 3;
  cudaEvent_t copied = nullptr;
  cudaEventCreate(&copied);
  for (const bool waits : {false, true}) {
    DeviceMemory<float> batch(1);
    cudaMemcpyAsync(batch.data(), pinned, sizeof(float), cudaMemcpyHostToDevice, copies);
    cudaEventRecord(copied, copies);
    if (waits) cudaStreamWaitEvent(computes, copied);
    increment(batch.data(), 1, computes);
    cudaStreamSynchronize(computes);
    float got = 0;
    cudaMemcpyAsync(&got, batch.data(), sizeof(float), cudaMemcpyDeviceToHost, computes);
    CHECK((got == 4.0F) == waits);
    cudaStreamSynchronize(copies);
  }
  cudaEventDestroy(copied);
  cudaStreamDestroy(copies);
  cudaStreamDestroy(computes);
  cudaFreeHost(pinned);
  clear_faults();
}

TEST_CASE("streams: a stream of another device is refused") {
  settings().devices = 2;
  clear_faults();
  cudaStream_t stream = new_stream();
  CHECK(cudaSetDevice(1) == cudaSuccess);
  DeviceMemory<float> memory(std::vector<float>(1, 0.0F));
  increment(memory.data(), 1, stream);
  CHECK(faults().size() == 1);
  CHECK(cudaSetDevice(2) == cudaErrorInvalidDevice);
  cudaSetDevice(0);
  cudaStreamDestroy(stream);
  settings() = {};
  clear_faults();
}

}  // namespace
}  // namespace emulator::test
