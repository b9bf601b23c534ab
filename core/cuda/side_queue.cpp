#include "core/cuda/side_queue.h"

#include <map>

#include "core/cuda/runtime.h"

namespace tarn::cuda {
namespace {

class SideStream final : public SideQueue {
 public:
  explicit SideStream(std::int32_t index) : index_(index) {
    const DeviceGuard guard(index);
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate", index);
    check(cudaEventCreateWithFlags(&asked_, cudaEventDisableTiming), "cudaEventCreate", index);
  }
  void begin() override {
    const DeviceGuard guard(index_);
    check(cudaEventRecord(asked_, compute_stream(index_)), "cudaEventRecord", index_);
    check(cudaStreamWaitEvent(stream_, asked_, 0), "cudaStreamWaitEvent", index_);
    begun() = this;
  }
  void end() override { begun() = nullptr; }
  void wait() override {
    const DeviceGuard guard(index_);
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize", index_);
  }
  void* handle() const override { return stream_; }

  // The one that has begun in this thread, if it is that device's.
  static const SideStream* current(std::int32_t index) {
    return begun() != nullptr && begun()->index_ == index ? begun() : nullptr;
  }
  cudaStream_t stream() const { return stream_; }

 private:
  // The one that has begun in this thread.
  static const SideStream*& begun() {
    thread_local const SideStream* side = nullptr;
    return side;
  }

  std::int32_t index_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t asked_ = nullptr;  // what the device was asked for before the latest begin()
};

class Mark final : public DeviceMark {
 public:
  explicit Mark(std::int32_t index) : index_(index) {
    const DeviceGuard guard(index);
    check(cudaEventCreateWithFlags(&event_, cudaEventDefault), "cudaEventCreate", index);
    check(cudaEventRecord(event_, current_stream(index)), "cudaEventRecord", index);
  }
  ~Mark() override { cudaEventDestroy(event_); }

  double seconds_since(const DeviceMark& earlier) const override {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, static_cast<const Mark&>(earlier).event_, event_),
          "cudaEventElapsedTime", index_);
    return 1e-3 * static_cast<double>(milliseconds);
  }

 private:
  std::int32_t index_;
  cudaEvent_t event_ = nullptr;
};

}  // namespace

SideQueue& side_queue(std::int32_t index) {
  // Never destroyed: a device's runtime may be gone before the program's static objects.
  static auto& all = *new std::map<std::int32_t, std::unique_ptr<SideStream>>;
  std::unique_ptr<SideStream>& found = all[index];
  if (found == nullptr) found = std::make_unique<SideStream>(index);
  return *found;
}

std::unique_ptr<DeviceMark> mark(std::int32_t index) { return std::make_unique<Mark>(index); }

cudaStream_t current_stream(std::int32_t index) {
  const SideStream* side = SideStream::current(index);
  return side != nullptr ? side->stream() : compute_stream(index);
}

}  // namespace tarn::cuda
