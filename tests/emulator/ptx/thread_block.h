// A block of threads in the interpreter: its warps, its shared memory, and the barriers of both.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/emulator/faults.h"
#include "tests/emulator/ptx/counts.h"
#include "tests/emulator/ptx/warp.h"
#include "tests/emulator/shadow.h"
#include "tests/emulator/types.h"

namespace emulator::ptx {

// Ends a launch, after a fault that was reported.
struct Stopped {};

// What the blocks of a launch have in common.
struct Grid {
  const Kernel& kernel;
  dim3 grid, block;
  std::vector<std::byte> parameters;  // at their offsets
  int device = 0;
  std::uint32_t number = 0;  // of the launch
};

class ThreadBlock {
 public:
  ThreadBlock(const Grid& grid, Counts& counts);

  // Runs the block with that number in the grid. Warps that can go on take turns at random. Throws
  // Stopped.
  void run(unsigned index, std::uint64_t& random);

  const Kernel& kernel() const { return grid_.kernel; }
  Counts& counts() { return counts_; }
  std::uint32_t special(Special special, unsigned axis, unsigned thread) const;

  // Where the lanes of the mask read or write, after each was compared with what it may access and
  // with what others did, and the whole was counted.
  void resolve(Warp& warp, const Instruction& at, Mask mask, bool write,
               std::array<std::byte*, kLanes>& places);

  // Reports a fault of a lane at an instruction.
  void fault(const Warp& warp, unsigned lane, const Instruction& at, FaultKind kind,
             const std::string& text);
  [[noreturn]] void stop(const Warp& warp, unsigned lane, const Instruction& at, FaultKind kind,
                         const std::string& text);

 private:
  void pass_barrier();
  std::byte* parameter(const Warp& warp, unsigned lane, const Instruction& at,
                       std::uint64_t address);
  std::byte* local(Warp& warp, unsigned lane, const Instruction& at, std::uint64_t address);
  std::byte* shared(const Warp& warp, unsigned lane, const Instruction& at, std::uint64_t address,
                    bool write);
  std::byte* global(const Warp& warp, unsigned lane, const Instruction& at, std::uint64_t address,
                    bool write);
  void check_cells(const Warp& warp, unsigned lane, const Instruction& at, Cell* cells,
                   std::size_t offset, bool write);
  void check_alignment(const Warp& warp, unsigned lane, const Instruction& at,
                       std::uint64_t address);

  const Grid& grid_;
  Counts& counts_;
  unsigned index_ = 0, threads_;
  std::uint32_t epoch_ = 1;  // counts barriers
  std::vector<Warp> warps_;
  std::vector<std::byte> shared_;
  std::vector<Cell> cells_;             // of shared memory
  std::vector<std::uint8_t> in_array_;  // of each of its bytes
};

}  // namespace emulator::ptx
