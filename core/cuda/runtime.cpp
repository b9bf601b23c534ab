#include "core/cuda/runtime.h"

#include <cstring>
#include <map>
#include <memory>
#include <type_traits>

#include "core/check.h"
#include "core/cuda/pinned.h"
#include "core/cuda/side_queue.h"

namespace tarn::cuda {
namespace {

struct Streams {
  cudaStream_t compute = nullptr, copy = nullptr;
  cudaEvent_t asked = nullptr;  // what the compute stream was asked for before the latest side copy
  bool captured = false;        // what the compute stream is asked for is recorded
};

// Made when the device is first used, and kept to the program's end, since tensors may live as
// long.
Streams& streams(std::int32_t index) {
  static std::map<std::int32_t, Streams> all;
  Streams& found = all[index];
  if (found.compute == nullptr) {
    const DeviceGuard guard(index);
    for (cudaStream_t* stream : {&found.compute, &found.copy}) {
      check(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), "cudaStreamCreate", index);
    }
    check(cudaEventCreateWithFlags(&found.asked, cudaEventDisableTiming), "cudaEventCreate", index);
  }
  return found;
}

// What the host takes part in would be done once, when it is recorded.
void refuse_in_capture(std::int32_t index, const char* what) {
  if (streams(index).captured) {
    fail<DeviceError>(what, " on cuda:", index, ": not while work is recorded for a graph");
  }
}

std::string text_of(cudaError_t error) {
  return message(cudaGetErrorString(error), " (", cudaGetErrorName(error), ")");
}

// The number of devices, or why it cannot be known; asked once, since it never changes.
struct Found {
  int count = 0;
  cudaError_t error = cudaSuccess;
};
const Found& found() {
  static const Found found = [] {
    Found f;
    f.error = cudaGetDeviceCount(&f.count);
    if (f.error != cudaSuccess) f.count = 0;
    cudaGetLastError();  // or the next call would report it again
    return f;
  }();
  return found;
}

std::string version_text(int version) { return message(version / 1000, ".", version % 1000 / 10); }

std::string why_none() {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0) return "this machine has no CUDA driver";
  int needed = 0;
  cudaRuntimeGetVersion(&needed);
  if (driver < needed) {
    return message("the CUDA driver is for version ", version_text(driver),
                   ", and this build needs ", version_text(needed));
  }
  return message("no CUDA device was found: ", text_of(found().error));
}

std::string describe(std::int32_t index) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties", index);
  return properties.name;
}

std::string address(std::int32_t index) {
  char text[32] = "";
  check(cudaDeviceGetPCIBusId(text, sizeof text, index), "cudaDeviceGetPCIBusId", index);
  return text;
}

void* allocate(std::int32_t index, std::size_t bytes) {
  const DeviceGuard guard(index);
  void* block = nullptr;
  const cudaError_t error = cudaMalloc(&block, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(error, "cudaMalloc", index);
  return block;
}

void release(std::int32_t index, void* block, std::size_t /*bytes*/) {
  const DeviceGuard guard(index);
  cudaFree(block);  // a failure here has no one to hear of it: memory is freed in destructors
}

std::int64_t free_bytes(std::int32_t index) {
  const DeviceGuard guard(index);
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo", index);
  return static_cast<std::int64_t>(free);
}

void fill(std::int32_t index, void* block, int byte, std::size_t bytes) {
  const DeviceGuard guard(index);
  check(cudaMemsetAsync(block, byte, bytes, current_stream(index)), "cudaMemset", index);
}

// Larger copies to a device are read from where they lie, and wait for it.
constexpr std::size_t kStagedBytes = std::size_t{16} << 20;

// Through pinned memory, which the device reads when it comes to it.
void copy_staged(std::int32_t index, cudaStream_t stream, void* to, const void* from,
                 std::size_t bytes, const PinnedBlock& staged) {
  std::memcpy(staged.bytes(), from, bytes);
  check(cudaMemcpyAsync(to, staged.bytes(), bytes, cudaMemcpyHostToDevice, stream), "cudaMemcpy",
        index);
  staged.record(stream);
}

void copy_in(std::int32_t index, void* to, const void* from, std::size_t bytes) {
  refuse_in_capture(index, "a copy from the host");
  const DeviceGuard guard(index);
  const cudaStream_t stream = current_stream(index);
  if (bytes > kStagedBytes) {
    return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "cudaMemcpy",
                 index);
  }
  const PinnedBlock staged(index, bytes);
  copy_staged(index, stream, to, from, bytes, staged);
}

// On the copy stream: behind what the compute stream has been asked for, since that may use the
// memory still, and before what it is asked for after join().
class CopyBeside final : public SideCopy {
 public:
  CopyBeside(std::int32_t index, void* to, const void* from, std::size_t bytes)
      : index_(index), staged_(index, bytes) {
    refuse_in_capture(index, "a copy from the host");
    const DeviceGuard guard(index);
    const Streams& of = streams(index);
    check(cudaEventRecord(of.asked, of.compute), "cudaEventRecord", index);
    check(cudaStreamWaitEvent(of.copy, of.asked, 0), "cudaStreamWaitEvent", index);
    copy_staged(index, of.copy, to, from, bytes, staged_);
  }
  ~CopyBeside() override {
    try {
      join();
    } catch (const DeviceError&) {  // the device has failed, which the next call will say
    }
  }
  void join() override {
    if (joined_) return;
    joined_ = true;
    const DeviceGuard guard(index_);
    check(cudaStreamWaitEvent(compute_stream(index_), staged_.copied(), 0), "cudaStreamWaitEvent",
          index_);
  }

 private:
  std::int32_t index_;
  PinnedBlock staged_;
  bool joined_ = false;
};

class CopyFromDevice final : public PendingCopy {
 public:
  CopyFromDevice(std::int32_t index, const void* from, std::size_t bytes) : block_(index, bytes) {
    refuse_in_capture(index, "a copy to the host");
    const DeviceGuard guard(index);
    check(
        cudaMemcpyAsync(block_.bytes(), from, bytes, cudaMemcpyDeviceToHost, current_stream(index)),
        "cudaMemcpy", index);
    block_.record(current_stream(index));
  }
  const std::byte* wait() override {
    block_.wait();
    return block_.bytes();
  }

 private:
  PinnedBlock block_;
};

void copy_out(std::int32_t index, void* to, const void* from, std::size_t bytes) {
  refuse_in_capture(index, "a copy to the host");
  const DeviceGuard guard(index);
  const cudaStream_t stream = current_stream(index);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream), "cudaMemcpy", index);
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize", index);
}

void copy_within(std::int32_t index, void* to, const void* from, std::size_t bytes) {
  const DeviceGuard guard(index);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, current_stream(index)),
        "cudaMemcpy", index);
}

void wait(std::int32_t index) {
  refuse_in_capture(index, "a wait");
  const DeviceGuard guard(index);
  check(cudaStreamSynchronize(compute_stream(index)), "cudaStreamSynchronize", index);
}

class Graph final : public DeviceGraph {
 public:
  Graph(std::int32_t index, cudaGraph_t recorded) : index_(index) {
    check(cudaGraphInstantiate(&executable_, recorded, 0), "cudaGraphInstantiate", index);
  }
  // One that is being run is destroyed when it has ended.
  ~Graph() override { cudaGraphExecDestroy(executable_); }

  void launch() override {
    const DeviceGuard guard(index_);
    check(cudaGraphLaunch(executable_, compute_stream(index_)), "cudaGraphLaunch", index_);
  }

 private:
  std::int32_t index_;
  cudaGraphExec_t executable_ = nullptr;
};

// Relaxed: a block that the cache lacks may be had of the driver meanwhile.
void begin_capture(std::int32_t index) {
  const DeviceGuard guard(index);
  check(cudaStreamBeginCapture(compute_stream(index), cudaStreamCaptureModeRelaxed),
        "cudaStreamBeginCapture", index);
  streams(index).captured = true;
}

std::unique_ptr<DeviceGraph> end_capture(std::int32_t index) {
  const DeviceGuard guard(index);
  streams(index).captured = false;
  cudaGraph_t recorded = nullptr;
  check(cudaStreamEndCapture(compute_stream(index), &recorded), "cudaStreamEndCapture", index);
  const std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, cudaError_t (*)(cudaGraph_t)> owner(
      recorded, cudaGraphDestroy);
  return std::make_unique<Graph>(index, recorded);
}

}  // namespace

const DeviceRuntime& runtime() {
  static constexpr DeviceRuntime kRuntime = {
      .count = [] { return static_cast<std::int32_t>(found().count); },
      .describe = describe,
      .why_none = why_none,
      .allocate = allocate,
      .release = release,
      .free_bytes = free_bytes,
      .fill = fill,
      .copy_in = copy_in,
      .copy_out = copy_out,
      .copy_within = copy_within,
      .copy_out_later = [](std::int32_t index, const void* from,
                           std::size_t bytes) -> std::unique_ptr<PendingCopy> {
        return std::make_unique<CopyFromDevice>(index, from, bytes);
      },
      .copy_in_beside = [](std::int32_t index, void* to, const void* from,
                           std::size_t bytes) -> std::unique_ptr<SideCopy> {
        return std::make_unique<CopyBeside>(index, to, from, bytes);
      },
      .wait = wait,
      .begin_capture = begin_capture,
      .end_capture = end_capture,
      .side_queue = side_queue,
      .mark = mark,
      .address = address,
  };
  return kRuntime;
}

DeviceGuard::DeviceGuard(std::int32_t index) {
  check(cudaGetDevice(&before_), "cudaGetDevice", index);
  if (before_ != index) check(cudaSetDevice(index), "cudaSetDevice", index);
}

DeviceGuard::~DeviceGuard() { cudaSetDevice(before_); }

cudaStream_t compute_stream(std::int32_t index) { return streams(index).compute; }

void check(cudaError_t error, const char* call, std::int32_t index) {
  if (error == cudaSuccess) return;
  cudaGetLastError();
  fail<DeviceError>(call, " on cuda:", index, ": ", text_of(error));
}

}  // namespace tarn::cuda
