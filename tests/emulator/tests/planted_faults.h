// Kernels with one fault each, and two that are right; the tests of the checker launch them.
#pragma once

#include <cuda_runtime.h>

#include "tests/emulator/emulator.h"

namespace emulator::test {

struct PlantedFault {
  const char* kernel;
  FaultKind kind;       // that the checker must report
  const char* marker;   // a comment on the line that the report must name; empty: none
  bool seen_unchecked;  // whether a build without the checker reports it, too
  void (*launch)(float* memory, std::size_t count, float* host);
};

// Each kernel takes device memory of `count` = 256 floats, of which all are written, and ordinary
// host memory as large.
const PlantedFault* planted_faults(std::size_t& count);

void launch_correct_warps(float* memory, std::size_t count);
void launch_correct_atomics(int* sum, int blocks);

}  // namespace emulator::test
