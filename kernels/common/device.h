// TARN_DEVICE before a function that kernels of every kind of device call: nvcc then compiles it
// for the processor and for CUDA devices.
#pragma once

#if defined(__CUDACC__)
#define TARN_DEVICE __host__ __device__
#else
#define TARN_DEVICE
#endif
