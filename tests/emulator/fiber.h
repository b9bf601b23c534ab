// A thread of execution with its own stack that runs until it gives way: one for each CUDA thread.
#pragma once

#include <cstddef>

namespace emulator {

constexpr std::size_t kStackBytes = 64 * 1024;

// Stores where the caller stands in *save, and goes on at `to`, which an earlier call stored or
// prepare_fiber() made. x86-64 only: six registers, without the system calls of ucontext.
extern "C" void emulator_switch_fiber(void** save, void* to);

// Makes a stack of kStackBytes, whose lowest byte is given, ready to run entry(), which must not
// return. The index staggers the first frames, since stacks at equal offsets share cache sets.
void* prepare_fiber(char* stack, std::size_t index, void (*entry)());

// Memory for so many stacks, kept for the next call; pages are taken when they are first touched.
char* fiber_stacks(std::size_t count);

}  // namespace emulator
