#include "core/device_runtime.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/check.h"
#if defined(TARN_CUDA)
#include "core/cuda/runtime.h"
#endif

namespace tarn {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

void* allocate(std::int32_t /*index*/, std::size_t bytes) {
  const bool huge = bytes >= 2 * kHugePage;
  const std::size_t alignment = huge ? kHugePage : kCacheLine;
  void* block = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (block != nullptr && huge) madvise(block, bytes, MADV_HUGEPAGE);  // a wish; refusal is fine
  return block;
}

void copy(std::int32_t /*index*/, void* to, const void* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}

class FinishedCopy final : public PendingCopy {
 public:
  FinishedCopy(const void* from, std::size_t bytes)
      : bytes_(static_cast<const std::byte*>(from), static_cast<const std::byte*>(from) + bytes) {}
  const std::byte* wait() override { return bytes_.data(); }

 private:
  std::vector<std::byte> bytes_;
};

constexpr DeviceRuntime kCpu = {
    .count = [] { return std::int32_t{1}; },
    .describe = [](std::int32_t) { return std::string("the processor"); },
    .why_none = [] { return std::string(); },
    .allocate = allocate,
    .release = [](std::int32_t, void* block, std::size_t) { std::free(block); },
    .free_bytes = [](std::int32_t) { return std::int64_t{-1}; },
    .fill = [](std::int32_t, void* block, int byte,
               std::size_t bytes) { std::memset(block, byte, bytes); },
    .copy_in = copy,
    .copy_out = copy,
    .copy_within = copy,
    .copy_out_later = [](std::int32_t, const void* from, std::size_t bytes)
        -> std::unique_ptr<PendingCopy> { return std::make_unique<FinishedCopy>(from, bytes); },
    .wait = [](std::int32_t) {},
};

}  // namespace

const DeviceRuntime* device_runtime(DeviceKind kind) {
  if (kind == DeviceKind::cpu) return &kCpu;
#if defined(TARN_CUDA)
  return &cuda::runtime();
#else
  return nullptr;
#endif
}

const DeviceRuntime& runtime_of(Device device) {
  const DeviceRuntime* runtime = device_runtime(device.kind);
  TARN_CHECK_AS(DeviceError, runtime != nullptr, "device ", device,
                " is not available: this build of tarn has no CUDA backend (TARN_CUDA=OFF); use "
                "\"cpu\"");
  const std::int32_t count = runtime->count();
  TARN_CHECK_AS(DeviceError, count > 0, "device ", device,
                " is not available: ", runtime->why_none());
  TARN_CHECK_AS(DeviceError, device.index >= 0 && device.index < count, "device ", device,
                " is not available: there are ", count, " of its kind, from 0");
  return *runtime;
}

}  // namespace tarn
