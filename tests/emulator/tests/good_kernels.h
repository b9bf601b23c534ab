// Kernels that are right, for the tests of the scheduler and of the runtime.
#pragma once

#include <cuda_runtime.h>

namespace emulator::test {

// out = in transposed, [rows, columns] to [columns, rows], through shared tiles of 32 x 32.
void transpose(const float* in, float* out, unsigned rows, unsigned columns, cudaStream_t stream);
// sums[b] = the sum of block b's 256 values of in, by shuffles and shared memory.
void block_sums(const float* in, float* sums, unsigned count, unsigned blocks, cudaStream_t stream);
// What each lane gets of the collectives: out[32 * k + lane] for collective k of eight.
void collectives(int* out, cudaStream_t stream);
// out = scale * in, through an asynchronous copy to shared memory; without waiting for it if asked.
void scale_staged(const float* in, float* out, float scale, bool wait, cudaStream_t stream);
// x += 1 for count values.
void increment(float* x, unsigned count, cudaStream_t stream);

}  // namespace emulator::test
