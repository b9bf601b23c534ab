// PTX as the interpreter executes it: kernels, their instructions, and where operands lie.
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace emulator::ptx {

using Mask = std::uint32_t;  // lanes of a warp, a bit each
constexpr Mask kAllLanes = ~0U;
constexpr unsigned kLanes = 32;

// PTX that cannot be read or is not known; the text names the file, the line and the instruction.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Warp;
struct Instruction;
using Execute = void (*)(Warp&, const Instruction&, Mask);

// A register is a row of 32 elements in the file of its warp; a predicate is one Mask there.
struct Operand {
  std::uint32_t offset = 0;  // in bytes, from the beginning of the file
  std::uint8_t bytes = 0;    // of an element; 0 for a predicate
};

enum class Space : std::uint8_t { global, shared, local, parameters };

// What a load or a store moves for each lane: `count` values side by side.
struct Access {
  Space space = Space::global;
  std::uint8_t bytes = 0;  // of one value
  std::uint8_t count = 1;
  bool is_signed = false;  // a value is extended so when its register is wider
  std::uint32_t all_bytes() const { return std::uint32_t{bytes} * count; }
};

// What follows an instruction. At a collective the lanes of its mask wait for each other, at a
// barrier the threads of the block.
enum class Flow : std::uint8_t { next, branch, exit, barrier, collective };

struct Instruction {
  Execute execute = nullptr;  // null where the flow is all that it does
  Flow flow = Flow::next;
  bool fused = false;  // a product and a sum in one
  bool guarded = false, guard_negated = false;
  Operand guard;
  std::array<Operand, 6> operands;  // destinations first; of loads and stores the values alone
  std::uint8_t destinations = 1, sources = 0;
  Operand address;  // of loads and stores
  std::int64_t displacement = 0;
  Access access;
  std::uint32_t target = 0;  // of a branch: an index of code
  std::uint32_t line = 0, source_file = 0, source_line = 0;
  std::string_view text;
};

// The registers that a launch sets, such as %tid.x.
enum class Special : std::uint8_t { tid, ctaid, ntid, nctaid, laneid };
struct SpecialRegister {
  Special special;
  std::uint8_t axis;
  Operand operand;
};

// A literal or an address: a row that is filled once.
struct Constant {
  Operand operand;
  std::uint64_t bits;
};

// A parameter in the parameter space, an array in shared memory.
struct Place {
  std::string_view name;
  std::uint32_t offset, bytes;
};

struct Kernel {
  std::string name;                  // mangled
  std::string file;                  // of PTX
  std::vector<std::string> sources;  // by the number of Instruction::source_file
  std::vector<Instruction> code;
  std::vector<Place> parameters, shared;
  std::vector<Constant> constants;
  std::vector<SpecialRegister> specials;
  std::uint32_t parameter_bytes = 0, shared_bytes = 0, local_bytes = 0, register_bytes = 0;

  // "kernels/cuda/copy.cu:31 (copy.ptx:208: ld.global.f32 %f1, [%rd4])"
  std::string place_of(const Instruction& instruction) const;
};

}  // namespace emulator::ptx
