// One launch over many tensors: their elements are cut into chunks, one a block of threads, and the
// list of tensors is an argument of the kernel.
#pragma once

#include <vector>

#include "kernels/cuda/gpu.h"

namespace tarn::kernels::cuda {

constexpr std::int64_t kChunk = 8192;  // elements

inline std::int64_t chunks_of(const Tensor& x) { return quotient_up(x.elements(), kChunk); }

// Up to kMost tensors, as what a kernel wants to know of each: TensorData, such as a pointer or
// several. Arguments of a kernel have room for 4,096 bytes.
template <class TensorData>
struct Chunks {
  static constexpr int kMost = 64;

  int count = 0;                  // tensors here
  std::int64_t first_tensor = 0;  // the place of the first in the whole list
  TensorData tensors[kMost] = {};
  std::int64_t elements[kMost] = {};
  int first_block[kMost + 1] = {};  // of each tensor, and the number of all

  struct Chunk {
    int place;                 // of its tensor among those here
    std::int64_t first, last;  // its elements
  };

  int blocks() const { return first_block[count]; }
  dim3 grid() const { return dim3(static_cast<unsigned>(blocks())); }

  // The chunk of this block of threads: its tensor is the last that begins at or before it.
  __device__ Chunk of_block() const {
    const int block = static_cast<int>(blockIdx.x);
    int place = 0, end = count;
    while (end - place > 1) {
      const int middle = (place + end) / 2;
      (first_block[middle] <= block ? place : end) = middle;
    }
    const std::int64_t first = (block - first_block[place]) * kChunk;
    return {place, first, first + kChunk < elements[place] ? first + kChunk : elements[place]};
  }
};

// Calls launch(chunks) for the tensors of a list, as many at a time as fit. data(i) is what is to
// be known of the i-th.
template <class TensorData, class Data, class Launch>
void for_chunks(const std::vector<Tensor>& list, const Data& data, const Launch& launch) {
  static_assert(sizeof(Chunks<TensorData>) < 3800, "with a kernel's other arguments, 4,096 bytes");
  for (std::size_t first = 0; first < list.size(); first += Chunks<TensorData>::kMost) {
    Chunks<TensorData> chunks;
    chunks.first_tensor = static_cast<std::int64_t>(first);
    std::int64_t blocks = 0;
    for (std::size_t i = first; i < list.size() && chunks.count < Chunks<TensorData>::kMost; ++i) {
      chunks.tensors[chunks.count] = data(i);
      chunks.elements[chunks.count] = list[i].elements();
      chunks.first_block[chunks.count++] = static_cast<int>(blocks);
      blocks += chunks_of(list[i]);
    }
    chunks.first_block[chunks.count] = static_cast<int>(blocks);
    launch(chunks);
  }
}

}  // namespace tarn::kernels::cuda
