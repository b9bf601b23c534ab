// The instructions that the interpreter knows, by their full names: "add.s64", "ld.shared.v4.f32".
// Another name, or another kind of operand, is an error.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/emulator/ptx/program.h"

namespace emulator::ptx {

// How the operands of an instruction are written.
enum class Form : std::uint8_t {
  plain,    // registers, literals and symbols, as many as there are widths
  load,     // values, then the address
  store,    // the address, then values
  parts,    // a register and, in braces, the parts of its value from the lowest; either goes first
  shuffle,  // shfl.sync: two destinations in one, a value, two numbers, the mask
  label,    // of a branch
  barrier,  // the number 0
};

struct Rule {
  Execute execute = nullptr;
  std::vector<std::uint8_t> widths = {};  // bytes of each operand; 0 for a predicate
  Form form = Form::plain;
  Flow flow = Flow::next;
  std::uint8_t destinations = 1;  // of a plain form
  bool fused = false;
  Access access = {};
};

using Table = std::map<std::string, Rule, std::less<>>;
const Table& instructions();

// What instructions() is made of, a file each.
void add_integers(Table& table);
void add_floats(Table& table);
void add_conversions(Table& table);
void add_comparisons(Table& table);
void add_memory(Table& table);
void add_control(Table& table);

}  // namespace emulator::ptx
