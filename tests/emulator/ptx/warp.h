// 32 threads that execute together, each with a program counter of its own.
//
// Lanes that stand at one instruction are a group, which executes as one. Of several groups the one
// that is furthest behind in the program goes on, until it meets another, and the two are one
// again. nvcc puts the join of a branch behind both of its sides, so that lanes meet there at the
// latest; a branch in another order would cost instructions that are counted twice, and change no
// result.
#pragma once

#include <cstddef>
#include <vector>

#include "tests/emulator/ptx/program.h"

namespace emulator::ptx {

class ThreadBlock;

class Warp {
 public:
  enum class State : std::uint8_t { ready, at_collective, at_barrier };
  struct Group {
    std::uint32_t at;  // an index of code
    Mask lanes;
    State state = State::ready;
  };

  // The lanes that exist are the lower ones.
  Warp(ThreadBlock& block, unsigned number, unsigned lanes);

  void start();  // at the kernel's beginning, for a new block
  void run();    // until no lane can go on by itself
  // Those that wait at a barrier go on behind it.
  void pass_barrier();

  ThreadBlock& block() const { return block_; }
  unsigned number() const { return number_; }
  Mask live() const { return live_; }  // lanes that have not returned
  Mask returned() const { return existing_ & ~live_; }
  std::uint32_t epoch() const { return epoch_; }
  const std::vector<Group>& groups() const { return groups_; }

  // The 32 elements of a register.
  template <class T>
  T* row(Operand operand) {
    return reinterpret_cast<T*>(bytes(operand));
  }
  std::byte* bytes(Operand operand) { return registers_ + operand.offset; }
  Mask& predicate(Operand operand) { return *row<Mask>(operand); }
  std::byte* local(unsigned lane);

 private:
  bool choose_group(std::size_t& chosen, std::uint32_t& others_at) const;
  void run_group(std::size_t index, std::uint32_t others_at);
  bool step(std::size_t index);  // false when another group may have to go on
  void branch(std::size_t index, Mask taken, const Instruction& instruction);
  bool arrive(std::size_t index);
  void join_groups();

  ThreadBlock& block_;
  unsigned number_;
  Mask existing_, live_ = 0;
  std::uint32_t epoch_ = 1;  // counts collectives
  std::vector<Group> groups_;
  std::vector<std::byte> memory_, local_;
  std::byte* registers_;  // in memory_, aligned
};

}  // namespace emulator::ptx
