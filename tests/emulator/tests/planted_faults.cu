#include "tests/emulator/tests/planted_faults.h"

namespace emulator::test {
namespace {

constexpr unsigned kThreads = 128;

}  // namespace

__global__ void missing_barrier(float* x) {
  EMULATOR_SHARED(float[kThreads], tile);
  tile[threadIdx.x] = x[threadIdx.x];
  x[threadIdx.x] = tile[(threadIdx.x + 33) % kThreads];  // missing_barrier
}

__global__ void warp_barrier_for_block(float* x) {
  EMULATOR_SHARED(float[kThreads], tile);
  tile[threadIdx.x] = x[threadIdx.x];
  __syncwarp();
  x[threadIdx.x] = tile[(threadIdx.x + 33) % kThreads];  // warp_barrier_for_block
}

__global__ void overwritten_too_early(float* x) {
  EMULATOR_SHARED(float[kThreads], tile);
  float sum = 0;
  for (unsigned step = 0; step < 2; ++step) {
    tile[threadIdx.x] = x[step * kThreads + threadIdx.x];  // overwritten_too_early
    __syncthreads();
    sum += tile[(threadIdx.x + 40) % kThreads];
  }
  x[threadIdx.x] = sum;
}

__global__ void different_barriers(float* x) {
  if (threadIdx.x < 64) {
    x[threadIdx.x] += 1;
    __syncthreads();  // different_barriers
  } else {
    __syncthreads();
    x[threadIdx.x] += 2;
  }
}

__global__ void early_return(float* x) {
  if (threadIdx.x >= 100) return;
  x[threadIdx.x] += 1;
  __syncthreads();  // early_return
}

__global__ void deadlock(float* x) {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    x[threadIdx.x] = __shfl_xor_sync(~0U, x[threadIdx.x], 2);  // deadlock
  }
}

__global__ void past_shared(float* x) {
  EMULATOR_SHARED(float[kThreads], tile);
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  const float* rows = tile;
  x[threadIdx.x] = rows[threadIdx.x + 1];  // past_shared
}

__global__ void dynamic_too_small(float* x) {
  EMULATOR_DYNAMIC_SHARED(float, tile);
  tile[threadIdx.x] = x[threadIdx.x];  // dynamic_too_small
}

__global__ void past_allocation(float* x) {
  x[256 + threadIdx.x] = 1;  // past_allocation
}

__global__ void never_written(float* x) {
  EMULATOR_SHARED(float[kThreads], tile);
  if (threadIdx.x < 64) tile[threadIdx.x] = 1;
  __syncthreads();
  x[threadIdx.x] = tile[threadIdx.x];  // never_written
}

__global__ void sum_of_blocks(float* x) {
  if (threadIdx.x == 0) x[0] += 1;  // sum_of_blocks
}

__global__ void misaligned_vector(float* x) {
  auto* row = reinterpret_cast<float4*>(x + 1 + 4 * static_cast<std::size_t>(threadIdx.x % 8));
  const float4 v = *row;  // misaligned_vector
  if (v.x == 12345) x[0] = v.y;
}

__global__ void host_pointer(float* x, const float* host) {
  x[threadIdx.x] = host[threadIdx.x];  // host_pointer
}

__global__ void correct_warps(float* x) {
  EMULATOR_SHARED(float[kThreads], tile);
  const unsigned base = threadIdx.x / 32 * 32, lane = threadIdx.x % 32;
  tile[threadIdx.x] = x[threadIdx.x];
  __syncwarp();
  const float next = tile[base + (lane + 1) % 32];
  __syncwarp();
  tile[threadIdx.x] = next;
  x[threadIdx.x] = tile[threadIdx.x];
}

__global__ void correct_atomics(int* sum) { atomicAdd(sum, 1); }

namespace {

template <auto Kernel>
void run(const char* name, float* x, dim3 grid = 1, std::size_t shared = 0) {
  emulator::launch(Kernel, grid, dim3(kThreads), shared, nullptr, name, x);
}
#define ONE(kernel) [](float* x, std::size_t, float*) { run<kernel>(#kernel, x); }

const PlantedFault kFaults[] = {
    {"missing_barrier", FaultKind::race, "// missing_barrier", false, ONE(missing_barrier)},
    {"warp_barrier_for_block", FaultKind::race, "// warp_barrier_for_block", false,
     ONE(warp_barrier_for_block)},
    {"overwritten_too_early", FaultKind::race, "// overwritten_too_early", false,
     ONE(overwritten_too_early)},
    {"different_barriers", FaultKind::divergence, "// different_barriers", true,
     ONE(different_barriers)},
    {"early_return", FaultKind::divergence, "// early_return", true, ONE(early_return)},
    {"deadlock", FaultKind::divergence, "// deadlock", true, ONE(deadlock)},
    {"past_shared", FaultKind::out_of_bounds, "// past_shared", false, ONE(past_shared)},
    {"dynamic_too_small", FaultKind::out_of_bounds, "// dynamic_too_small", false,
     [](float* x, std::size_t, float*) {
       run<dynamic_too_small>("dynamic_too_small", x, 1, kThreads * sizeof(float) - 4);
     }},
    {"past_allocation", FaultKind::out_of_bounds, "// past_allocation", false,
     ONE(past_allocation)},
    {"never_written", FaultKind::uninitialized, "// never_written", false, ONE(never_written)},
    {"sum_of_blocks", FaultKind::race, "// sum_of_blocks", false,
     [](float* x, std::size_t, float*) { run<sum_of_blocks>("sum_of_blocks", x, 4); }},
    {"misaligned_vector", FaultKind::misaligned, "// misaligned_vector", false,
     ONE(misaligned_vector)},
    {"host_pointer", FaultKind::out_of_bounds, "// host_pointer", false,
     [](float* x, std::size_t, float* host) {
       EMULATOR_LAUNCH(host_pointer, 1, kThreads, 0, nullptr, x, host);
     }},
};

}  // namespace

const PlantedFault* planted_faults(std::size_t& count) {
  count = std::size(kFaults);
  return kFaults;
}

void launch_correct_warps(float* memory, std::size_t) {
  run<correct_warps>("correct_warps", memory);
}
void launch_correct_atomics(int* sum, int blocks) {
  EMULATOR_LAUNCH(correct_atomics, dim3(static_cast<unsigned>(blocks)), kThreads, 0, nullptr, sum);
}

}  // namespace emulator::test
