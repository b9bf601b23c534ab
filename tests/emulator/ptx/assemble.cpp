#include "tests/emulator/ptx/assemble.h"

#include <algorithm>

#include "tests/emulator/ptx/names.h"
#include "tests/emulator/ptx/table.h"

namespace emulator::ptx {
namespace {

class Assembler {
 public:
  Assembler(const File& file, const Entry& entry, const std::string& file_name)
      : body_(parse_body(entry)), names_(kernel_, file, entry, body_) {
    kernel_.name = entry.name;
    kernel_.file = file_name;
    for (const auto& [number, name] : file.sources) {
      kernel_.sources.resize(std::max<std::size_t>(kernel_.sources.size(), number + 1));
      kernel_.sources[number] = name;
    }
  }

  Kernel run() {
    for (const Statement& statement : body_.statements) {
      statement_ = &statement;
      kernel_.code.push_back(instruction_of(statement));
    }
    // No lane runs over the end.
    const bool ends = statement_ != nullptr && statement_->guard.empty() &&
                      (statement_->opcode == "ret" || statement_->opcode == "bra.uni");
    if (!ends) throw Error(kernel_.file + ": " + kernel_.name + " does not end with a return");
    return std::move(kernel_);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw Error(kernel_.file + ":" + std::to_string(statement_->line) + ": " + why + ": " +
                std::string(statement_->text));
  }

  Operand operand(std::string_view text, std::uint8_t element) {
    try {
      return names_.operand(text, element);
    } catch (const Error& error) {
      refuse(error.what());
    }
  }

  // A register of any size, or else a number or an address of the size that is given.
  Operand any_register(std::string_view text, std::uint8_t element) {
    return operand(text, text.starts_with('%') ? Names::kAnySize : element);
  }

  // "[%rd4+8]", "[symbol]"
  void set_address(Instruction& instruction, std::string_view text) {
    if (text.size() < 2 || text.front() != '[' || text.back() != ']') refuse("no address");
    text = text.substr(1, text.size() - 2);
    const std::size_t plus = text.find('+');
    const std::string_view base = trimmed(text.substr(0, plus));
    instruction.address = any_register(base, 8);
    if (plus == std::string_view::npos) return;
    const auto number = literal(trimmed(text.substr(plus + 1)), 8);
    if (!number) refuse("no number behind the +");
    instruction.displacement = static_cast<std::int64_t>(*number);
  }

  // "{%f1, %f2}" or one register; a literal is as wide as the access.
  void set_values(Instruction& instruction, std::string_view text) {
    const bool braced = text.starts_with('{');
    const auto parts = split(braced ? text.substr(1, text.size() - 2) : text, ',');
    if (parts.size() != instruction.access.count) refuse("another number of values was expected");
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const Operand value = any_register(parts[i], instruction.access.bytes);
      if (value.bytes < instruction.access.bytes) refuse("the register is too small");
      instruction.operands[i] = value;
    }
  }

  void set_parts(Instruction& instruction, const std::vector<std::string_view>& operands) {
    const bool takes = operands[0].starts_with('{');
    const std::string_view braces = operands[takes ? 0 : 1];
    const auto parts = split(braces.substr(1, braces.size() - 2), ',');
    if (parts.size() != 2 && parts.size() != 4) refuse("another number of parts was expected");
    const auto count = static_cast<std::uint8_t>(parts.size());
    instruction.destinations = takes ? count : 1;
    instruction.sources = takes ? 1 : count;
    std::size_t next = 0;
    const auto part_bytes = static_cast<std::uint8_t>(8 / count);
    if (!takes) instruction.operands[next++] = operand(operands[0], 8);
    for (const std::string_view part : parts) {
      instruction.operands[next++] = operand(part, part_bytes);
    }
    if (takes) instruction.operands[next] = operand(operands[1], 8);
  }

  void set_plain(Instruction& instruction, const Rule& rule,
                 const std::vector<std::string_view>& operands) {
    if (operands.size() != rule.widths.size()) refuse("another number of operands was expected");
    instruction.destinations = rule.destinations;
    instruction.sources = static_cast<std::uint8_t>(operands.size() - rule.destinations);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      instruction.operands[i] = operand(operands[i], rule.widths[i]);
    }
  }

  void set_shuffle(Instruction& instruction, const std::vector<std::string_view>& operands) {
    if (operands.size() != 5) refuse("another number of operands was expected");
    const auto results = split(operands[0], '|');
    if (results.size() != 2) refuse("two results were expected");
    instruction.destinations = 2;
    instruction.sources = 4;
    instruction.operands[0] = operand(results[0], 4);
    instruction.operands[1] = operand(results[1], 0);
    for (std::size_t i = 1; i < 5; ++i) instruction.operands[i + 1] = operand(operands[i], 4);
  }

  Instruction instruction_of(const Statement& statement) {
    std::string name(statement.opcode);
    if (name == "mov.b64" && statement.text.find('{') != std::string_view::npos) name += " {}";
    const auto rule = instructions().find(name);
    if (rule == instructions().end()) refuse("unknown instruction");
    Instruction instruction{.execute = rule->second.execute,
                            .flow = rule->second.flow,
                            .fused = rule->second.fused,
                            .access = rule->second.access,
                            .line = statement.line,
                            .source_file = statement.source_file,
                            .source_line = statement.source_line,
                            .text = statement.text};
    if (!statement.guard.empty()) {
      instruction.guarded = true;
      instruction.guard_negated = statement.guard_negated;
      instruction.guard = operand(statement.guard, 0);
    }
    set_operands(instruction, rule->second, statement.operands);
    return instruction;
  }

  void set_operands(Instruction& instruction, const Rule& rule,
                    const std::vector<std::string_view>& operands) {
    const bool two =
        rule.form == Form::load || rule.form == Form::store || rule.form == Form::parts;
    if (two && operands.size() != 2) refuse("two operands were expected");
    switch (rule.form) {
      case Form::plain:
        return set_plain(instruction, rule, operands);
      case Form::load:
        set_values(instruction, operands[0]);
        return set_address(instruction, operands[1]);
      case Form::store:
        set_address(instruction, operands[0]);
        return set_values(instruction, operands[1]);
      case Form::parts:
        return set_parts(instruction, operands);
      case Form::shuffle:
        return set_shuffle(instruction, operands);
      case Form::label: {
        const auto label =
            operands.size() == 1 ? body_.labels.find(operands[0]) : body_.labels.end();
        if (label == body_.labels.end() || label->second >= body_.statements.size()) {
          refuse("unknown label");
        }
        instruction.target = static_cast<std::uint32_t>(label->second);
        return;
      }
      case Form::barrier:
        if (operands.size() != 1 || operands[0] != "0") refuse("a barrier of all was expected");
        return;
    }
  }

  Kernel kernel_;
  const Body body_;
  Names names_;
  const Statement* statement_ = nullptr;
};

}  // namespace

const Table& instructions() {
  static const Table table = [] {
    Table all;
    add_integers(all);
    add_floats(all);
    add_conversions(all);
    add_comparisons(all);
    add_memory(all);
    add_control(all);
    return all;
  }();
  return table;
}

Kernel assemble(const File& file, const Entry& entry, const std::string& file_name) {
  return Assembler(file, entry, file_name).run();
}

std::string Kernel::place_of(const Instruction& instruction) const {
  std::string place =
      file + ":" + std::to_string(instruction.line) + ": " + std::string(instruction.text);
  if (instruction.source_file < sources.size() && instruction.source_line > 0) {
    place = sources[instruction.source_file] + ":" + std::to_string(instruction.source_line) +
            " (" + place + ")";
  }
  return place;
}

}  // namespace emulator::ptx
