// The text of PTX, taken apart into statements. Nothing here knows what an instruction does.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace emulator::ptx {

// A parameter, or an array in shared or local memory.
struct Declaration {
  std::string_view name;
  std::uint32_t bytes = 0, alignment = 1;
};

// "%f<157>" is 157 registers of type f32, %f0 to %f156; a single one has count 0.
struct Registers {
  std::string_view name, type;
  unsigned count = 0;
};

struct Statement {
  std::string_view text;   // without its guard
  std::string_view guard;  // "%p1", or empty
  bool guard_negated = false;
  std::string_view opcode;
  std::vector<std::string_view> operands;  // "%r1", "[%rd4+8]", "{%f1, %f2}", "%r1|%p2"
  unsigned line = 0;                       // of the PTX
  unsigned source_file = 0, source_line = 0;
};

struct Body {
  std::vector<Registers> registers;
  std::vector<Declaration> shared, local;
  std::vector<Statement> statements;
  std::map<std::string_view, std::size_t> labels;  // the statement that follows
};

// Where a kernel stands in a file.
struct Entry {
  std::string_view name, parameters, body;
  unsigned line = 0;  // of the body's beginning
};

struct File {
  std::vector<Entry> entries;
  std::vector<Declaration> shared;               // outside of kernels
  std::map<unsigned, std::string_view> sources;  // of the .file directives
};

// All of them throw Error; the views are into `text`, whose file is `name`.
File parse_file(std::string_view text, const std::string& name);
std::vector<Declaration> parse_parameters(const Entry& entry);
Body parse_body(const Entry& entry);

// Bytes of a type, "f32"; 0 for pred and for what is not known.
unsigned bytes_of(std::string_view type);

// The parts between separators, without spaces around them; none of an empty text. Within brackets
// and braces nothing separates.
std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trimmed(std::string_view text);

}  // namespace emulator::ptx
