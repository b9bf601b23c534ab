// What computes in this process, for `tarn info` and the records of a run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/compute.h"
#include "core/device.h"

namespace tarn::kernels {

struct CpuBackend {
  std::string processor;        // "AMD EPYC 9R45"
  std::string instruction_set;  // what the kernels use: "AVX2"
  std::string blas;             // "OpenBLAS 0.3.21"
  std::string blas_core;        // the kernels that OpenBLAS chose: "Zen"
  std::int64_t threads = 1;     // of the pool
  std::string threads_reason;   // "one for each processor that this process may use"
  std::string waiting;          // how its threads wait: "polls for at most 50 us, then sleeps"
  std::string advice;           // what to do when a faster choice was possible; else empty
};
CpuBackend cpu_backend();

// Throws DeviceError if the device's products cannot compute so.
void check_compute(Compute compute, Device device);

// Whether the kernels' instruction set has products of bf16.
bool cpu_has_bf16_products();

// A device that exists, in a line: "cpu (AMD EPYC 9R45, AVX-512, 2 threads)", "cuda:0 NVIDIA H100
// 80GB HBM3", "cuda:0 (emulated)".
std::string describe(Device device);

// The instruction sets that kernels are compiled for and this processor has, best first.
std::vector<std::string> cpu_instruction_sets();

// Makes the CPU kernels use this instruction set ("AVX-512", "AVX2", "portable"), or the best again
// where `name` is empty. Throws UserError when it is not one of them or the processor lacks it. For
// tests and comparisons; not while kernels run. OpenBLAS chooses for itself.
void set_cpu_instruction_set(std::string_view name);

// The number of threads that CPU kernels use from now on, in the whole process; 0 leaves it as it
// is: as OMP_NUM_THREADS says, else one for each processor that the process may use. It changes no
// bit of any result.
void set_cpu_threads(std::int64_t threads);

// From now on the CPU kernels that the calling thread runs use no other thread: for one that works
// beside the thread that trains, which would find the others taken.
void use_no_other_cpu_threads();

}  // namespace tarn::kernels
