#include "core/cuda/runtime.h"

#include <cstring>
#include <map>
#include <memory>

#include "core/check.h"
#include "core/cuda/pinned.h"

namespace tarn::cuda {
namespace {

// Made when the device is first used, and kept to the program's end, since tensors may live as
// long.
class Streams {
 public:
  cudaStream_t of(std::int32_t index) {
    cudaStream_t& stream = compute_[index];
    if (stream == nullptr) {
      const DeviceGuard guard(index);
      check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate", index);
    }
    return stream;
  }

 private:
  std::map<std::int32_t, cudaStream_t> compute_;
};

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
  check(cudaMemsetAsync(block, byte, bytes, compute_stream(index)), "cudaMemset", index);
}

// Larger copies to a device are read from where they lie, and wait for it.
constexpr std::size_t kStagedBytes = std::size_t{16} << 20;

void copy_in(std::int32_t index, void* to, const void* from, std::size_t bytes) {
  const DeviceGuard guard(index);
  const cudaStream_t stream = compute_stream(index);
  if (bytes > kStagedBytes) {
    return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "cudaMemcpy",
                 index);
  }
  const PinnedBlock staged(index, bytes);
  std::memcpy(staged.bytes(), from, bytes);
  check(cudaMemcpyAsync(to, staged.bytes(), bytes, cudaMemcpyHostToDevice, stream), "cudaMemcpy",
        index);
  staged.record();
}

class CopyFromDevice final : public PendingCopy {
 public:
  CopyFromDevice(std::int32_t index, const void* from, std::size_t bytes) : block_(index, bytes) {
    const DeviceGuard guard(index);
    check(
        cudaMemcpyAsync(block_.bytes(), from, bytes, cudaMemcpyDeviceToHost, compute_stream(index)),
        "cudaMemcpy", index);
    block_.record();
  }
  const std::byte* wait() override {
    block_.wait();
    return block_.bytes();
  }

 private:
  PinnedBlock block_;
};

template <cudaMemcpyKind Kind>
void copy(std::int32_t index, void* to, const void* from, std::size_t bytes) {
  const DeviceGuard guard(index);
  const cudaStream_t stream = compute_stream(index);
  check(cudaMemcpyAsync(to, from, bytes, Kind, stream), "cudaMemcpy", index);
  if (Kind == cudaMemcpyDeviceToHost) {
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize", index);
  }
}

void wait(std::int32_t index) {
  const DeviceGuard guard(index);
  check(cudaStreamSynchronize(compute_stream(index)), "cudaStreamSynchronize", index);
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
      .copy_out = copy<cudaMemcpyDeviceToHost>,
      .copy_within = copy<cudaMemcpyDeviceToDevice>,
      .copy_out_later = [](std::int32_t index, const void* from,
                           std::size_t bytes) -> std::unique_ptr<PendingCopy> {
        return std::make_unique<CopyFromDevice>(index, from, bytes);
      },
      .wait = wait,
  };
  return kRuntime;
}

DeviceGuard::DeviceGuard(std::int32_t index) {
  check(cudaGetDevice(&before_), "cudaGetDevice", index);
  if (before_ != index) check(cudaSetDevice(index), "cudaSetDevice", index);
}

DeviceGuard::~DeviceGuard() { cudaSetDevice(before_); }

cudaStream_t compute_stream(std::int32_t index) {
  static Streams streams;
  return streams.of(index);
}

void check(cudaError_t error, const char* call, std::int32_t index) {
  if (error == cudaSuccess) return;
  cudaGetLastError();
  fail<DeviceError>(call, " on cuda:", index, ": ", text_of(error));
}

}  // namespace tarn::cuda
