// Host memory that a device reads and writes by itself, so that copies do not stop the program. It
// is dear to get, hence kept and used again.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace tarn::cuda {

// A block of pinned memory for one copy on a stream of a device. Given back to a store
// when it goes away; the store hands it out again when the copy has been made.
class PinnedBlock {
 public:
  PinnedBlock(std::int32_t index, std::size_t bytes);
  ~PinnedBlock();
  PinnedBlock(const PinnedBlock&) = delete;
  PinnedBlock& operator=(const PinnedBlock&) = delete;

  std::byte* bytes() const { return memory_; }
  void record(cudaStream_t stream) const;  // the copy was asked for
  cudaEvent_t copied() const { return copied_; }
  void wait() const;  // until it is made

 private:
  std::int32_t index_;
  std::size_t size_;
  std::byte* memory_ = nullptr;
  cudaEvent_t copied_ = nullptr;
};

}  // namespace tarn::cuda
