// What operands are called: registers, arrays, parameters, literals.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "tests/emulator/ptx/parser.h"
#include "tests/emulator/ptx/program.h"

namespace emulator::ptx {

// "-7", "0x1F", "0f3F800000", "0d3FF0000000000000": its bits, or nothing if the text is no number.
// A float must be as wide as `element`, in bytes.
std::optional<std::uint64_t> literal(std::string_view text, std::uint8_t element);

// Gives every name of a kernel its place, and sets the kernel's parameters, arrays, constants and
// sizes by them.
class Names {
 public:
  static constexpr std::uint8_t kAnySize = 0xFF;

  Names(Kernel& kernel, const File& file, const Entry& entry, const Body& body);

  // The row of a register, or one that holds a literal or the address of a symbol. `element` is the
  // size that an element must have, 0 for predicates. Throws Error, which does not say where.
  Operand operand(std::string_view text, std::uint8_t element);

 private:
  void place_parameters(const Entry& entry);
  void place_shared(const Declaration& declared);
  void declare(const Registers& registers);
  Operand new_row(std::uint8_t element);
  Operand constant(std::uint64_t bits, std::uint8_t element);
  Operand special(std::string_view text);

  Kernel& kernel_;
  std::map<std::string, Operand, std::less<>> registers_;
  std::map<std::string_view, std::uint32_t> symbols_;  // and their addresses
  std::map<std::pair<std::uint64_t, std::uint8_t>, Operand> constants_;
};

}  // namespace emulator::ptx
