#include "tests/emulator/tests/good_kernels.h"

namespace emulator::test {

__global__ void transpose_tiles(const float* in, float* out, unsigned rows, unsigned columns) {
  EMULATOR_SHARED(float[32][33], tile);
  unsigned row = blockIdx.y * 32 + threadIdx.y, column = blockIdx.x * 32 + threadIdx.x;
  for (unsigned i = 0; i < 32; i += 8) {
    if (row + i < rows && column < columns) {
      tile[threadIdx.y + i][threadIdx.x] = in[(row + i) * columns + column];
    }
  }
  __syncthreads();
  row = blockIdx.x * 32 + threadIdx.y, column = blockIdx.y * 32 + threadIdx.x;
  for (unsigned i = 0; i < 32; i += 8) {
    if (row + i < columns && column < rows) {
      out[(row + i) * rows + column] = tile[threadIdx.x][threadIdx.y + i];
    }
  }
}

__global__ void sum_blocks(const float* in, float* sums, unsigned count) {
  EMULATOR_SHARED(float[8], parts);
  const unsigned i = blockIdx.x * 256 + threadIdx.x;
  float sum = i < count ? in[i] : 0;
  for (int width = 16; width > 0; width /= 2) sum += __shfl_down_sync(~0U, sum, width);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 8) {
    sum = parts[threadIdx.x];
    for (int width = 4; width > 0; width /= 2) sum += __shfl_xor_sync(0xFFU, sum, width);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
  }
}

__global__ void all_collectives(int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  const int value = lane * lane;
  out[0 * 32 + lane] = __shfl_sync(~0U, value, 5);
  out[1 * 32 + lane] = __shfl_sync(~0U, value, 9, 8);
  out[2 * 32 + lane] = __shfl_up_sync(~0U, value, 3);
  out[3 * 32 + lane] = __shfl_down_sync(~0U, value, 3, 16);
  out[4 * 32 + lane] = __shfl_xor_sync(~0U, value, 1);
  out[5 * 32 + lane] = static_cast<int>(__ballot_sync(~0U, lane % 3 == 0));
  out[6 * 32 + lane] = __any_sync(~0U, lane == 31) + 2 * __all_sync(~0U, lane < 31);
  int half = 0;
  if (lane < 16) {
    half = __shfl_xor_sync(0xFFFFU, value, 8);
  } else {
    half = __shfl_xor_sync(0xFFFF0000U, value, 4);
  }
  out[7 * 32 + lane] = half;
}

__global__ void scale_through_shared(const float* in, float* out, float scale, bool wait) {
  EMULATOR_DYNAMIC_SHARED(float, tile);
  Block& block = *Block::running();
  block.copy_async(&tile[threadIdx.x], &in[threadIdx.x], sizeof(float));
  block.commit_copies();
  if (wait) block.wait_for_copies(0);
  out[threadIdx.x] = scale * tile[threadIdx.x];
}

__global__ void add_one(float* x, unsigned count) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) x[i] += 1;
}

void transpose(const float* in, float* out, unsigned rows, unsigned columns, cudaStream_t stream) {
  const dim3 grid((columns + 31) / 32, (rows + 31) / 32);
  EMULATOR_LAUNCH(transpose_tiles, grid, dim3(32, 8), 0, stream, in, out, rows, columns);
}
void block_sums(const float* in, float* sums, unsigned count, unsigned blocks,
                cudaStream_t stream) {
  EMULATOR_LAUNCH(sum_blocks, dim3(blocks), dim3(256), 0, stream, in, sums, count);
}
void collectives(int* out, cudaStream_t stream) {
  EMULATOR_LAUNCH(all_collectives, 1, 32, 0, stream, out);
}
void scale_staged(const float* in, float* out, float scale, bool wait, cudaStream_t stream) {
  EMULATOR_LAUNCH(scale_through_shared, 1, 64, 64 * sizeof(float), stream, in, out, scale, wait);
}
void increment(float* x, unsigned count, cudaStream_t stream) {
  EMULATOR_LAUNCH(add_one, dim3((count + 127) / 128), dim3(128), 0, stream, x, count);
}

}  // namespace emulator::test
