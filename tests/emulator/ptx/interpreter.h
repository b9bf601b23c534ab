// Launches that are executed by what nvcc made of the kernels, in place of what g++ did.
//
// Where the environment names a folder of PTX as TARN_PTX, each launch of the program is
// interpreted: the kernel's PTX is found by its mangled name, which the program must export
// (-rdynamic).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tests/emulator/block.h"
#include "tests/emulator/ptx/program.h"

namespace emulator::ptx {

// Whether launches of this process are interpreted.
bool enabled();

// Runs every block of the launch's grid, in the order that the settings choose. What cannot be
// executed is reported as a fault.
void run_grid(const Launch& launch);

// The same for a kernel that is at hand; its parameters' bytes are in their order.
void run_kernel(const Kernel& kernel, const Launch& launch,
                const std::vector<std::span<const unsigned char>>& parameters);

}  // namespace emulator::ptx
