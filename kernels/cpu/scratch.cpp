#include "kernels/cpu/scratch.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace tarn::kernels::cpu {
namespace {

struct Free {
  void operator()(std::byte* block) const { std::free(block); }
};
struct Block {
  std::unique_ptr<std::byte, Free> bytes;
  std::size_t size = 0;
};

}  // namespace

std::byte* thread_scratch_bytes(std::size_t bytes) {
  thread_local Block block;
  if (block.size < bytes) {
    const std::size_t size = (bytes + 4095) / 4096 * 4096;
    block.bytes.reset(static_cast<std::byte*>(std::aligned_alloc(64, size)));
    if (block.bytes == nullptr) throw std::bad_alloc();  // ends the program inside a parallel loop
    block.size = size;
  }
  return block.bytes.get();  // NOLINT(clang-analyzer-unix.Malloc): freed when the thread ends
}

}  // namespace tarn::kernels::cpu
