#include "core/cuda/pinned.h"

#include <bit>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "core/cuda/runtime.h"

namespace tarn::cuda {
namespace {

struct Block {
  std::byte* memory;
  cudaEvent_t copied;
};

// The blocks that wait for another use, by device and size. Never destroyed: the runtime may be
// gone before the program's static objects.
struct Store {
  std::mutex mutex;
  std::map<std::pair<std::int32_t, std::size_t>, std::vector<Block>> blocks;
};
Store& store() {
  static Store& all = *new Store;
  return all;
}

}  // namespace

PinnedBlock::PinnedBlock(std::int32_t index, std::size_t bytes)
    : index_(index), size_(std::bit_ceil(bytes < 4096 ? std::size_t{4096} : bytes)) {
  const DeviceGuard guard(index);
  Store& all = store();
  const std::lock_guard lock(all.mutex);
  std::vector<Block>& waiting = all.blocks[{index, size_}];
  for (Block& block : waiting) {
    if (cudaEventQuery(block.copied) != cudaSuccess) {
      cudaGetLastError();  // it is not ready, which no later call may take for its failure
      continue;
    }
    memory_ = block.memory;
    copied_ = block.copied;
    block = waiting.back();
    waiting.pop_back();
    return;
  }
  check(cudaMallocHost(&memory_, size_), "cudaMallocHost", index);
  check(cudaEventCreateWithFlags(&copied_, cudaEventDisableTiming), "cudaEventCreate", index);
}

PinnedBlock::~PinnedBlock() {
  Store& all = store();
  const std::lock_guard lock(all.mutex);
  all.blocks[{index_, size_}].push_back({memory_, copied_});
}

void PinnedBlock::record(cudaStream_t stream) const {
  check(cudaEventRecord(copied_, stream), "cudaEventRecord", index_);
}

void PinnedBlock::wait() const {
  check(cudaEventSynchronize(copied_), "cudaEventSynchronize", index_);
}

}  // namespace tarn::cuda
