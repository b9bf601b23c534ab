#include "tests/emulator/ptx/parser.h"

#include <algorithm>
#include <charconv>

#include "tests/emulator/ptx/program.h"

namespace emulator::ptx {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

// Reads a text from its beginning to its end, and counts lines.
class Scanner {
 public:
  Scanner(std::string_view text, unsigned line) : text_(text), line_(line) {}

  unsigned line() const { return line_; }
  bool at_end() const { return at_ == text_.size(); }
  bool at(char c) const { return !at_end() && text_[at_] == c; }

  void skip_space() {
    while (!at_end()) {
      if (text_.substr(at_, 2) == "//") {
        to(text_.find('\n', at_));
      } else if (kSpace.find(text_[at_]) != std::string_view::npos) {
        to(at_ + 1);
      } else {
        return;
      }
    }
  }
  bool begins_with(std::string_view word) const { return text_.substr(at_, word.size()) == word; }
  // What lies before the first of the characters, which is not taken.
  std::string_view until(std::string_view ends) {
    const std::size_t begin = at_;
    to(text_.find_first_of(ends, at_));
    return text_.substr(begin, at_ - begin);
  }
  void skip() { to(at_ + 1); }
  // What lies between the brace at which the scanner stands and the one that closes it.
  std::string_view braces() {
    skip();
    const std::size_t begin = at_;
    for (int depth = 1; depth > 0 && !at_end(); skip()) {
      if (at('{')) ++depth;
      if (at('}')) --depth;
    }
    return text_.substr(begin, at_ - begin - (at_ > begin ? 1 : 0));
  }

 private:
  void to(std::size_t place) {
    place = std::min(place, text_.size());
    line_ +=
        static_cast<unsigned>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         text_.begin() + static_cast<std::ptrdiff_t>(place), '\n'));
    at_ = place;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  unsigned line_;
};

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!(text = trimmed(text)).empty()) {
    const std::size_t end = std::min(text.find_first_of(kSpace), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return words;
}

unsigned number_of(std::string_view text) {
  unsigned number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// ".param .align 8 .b8 name[40]", ".param .u64 name"
Declaration declaration_of(std::string_view text) {
  const std::vector<std::string_view> words = words_of(text);
  Declaration declaration{.name = words.back()};
  unsigned element = 0;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == ".align") declaration.alignment = number_of(words[i + 1]);
    if (const unsigned bytes = bytes_of(words[i].substr(1)); bytes > 0) element = bytes;
  }
  declaration.bytes = element;
  declaration.alignment = std::max(declaration.alignment, element);
  if (const std::size_t bracket = declaration.name.find('['); bracket != std::string_view::npos) {
    declaration.bytes *= number_of(declaration.name.substr(bracket + 1));
    declaration.name = declaration.name.substr(0, bracket);
  }
  return declaration;
}

// ".reg .f32 %f<157>", ".reg .b64 %SP"
Registers registers_of(std::string_view text) {
  const std::vector<std::string_view> words = words_of(text);
  Registers registers{.name = words.back(), .type = words[words.size() - 2].substr(1)};
  if (const std::size_t bracket = registers.name.find('<'); bracket != std::string_view::npos) {
    registers.count = number_of(registers.name.substr(bracket + 1));
    registers.name = registers.name.substr(0, bracket);
  }
  return registers;
}

Statement statement_of(std::string_view text) {
  Statement statement;
  if (text[0] == '@') {
    const std::size_t end = std::min(text.find_first_of(kSpace), text.size());
    statement.guard_negated = text[1] == '!';
    statement.guard =
        text.substr(statement.guard_negated ? 2 : 1, end - (statement.guard_negated ? 2 : 1));
    text = trimmed(text.substr(end));
  }
  statement.text = text;
  const std::size_t end = std::min(text.find_first_of(kSpace), text.size());
  statement.opcode = text.substr(0, end);
  statement.operands = split(text.substr(end), ',');
  return statement;
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{' || text[i] == '[') ++depth;
    if (text[i] == '}' || text[i] == ']') --depth;
    if (text[i] != separator || depth > 0) continue;
    parts.push_back(trimmed(text.substr(begin, i - begin)));
    begin = i + 1;
  }
  const std::string_view last = trimmed(text.substr(begin));
  if (!last.empty() || !parts.empty()) parts.push_back(last);
  return parts;
}

unsigned bytes_of(std::string_view type) {
  if (type.size() < 2 || std::string_view("bsuf").find(type[0]) == std::string_view::npos) return 0;
  const std::string_view bits = type.substr(1);
  return bits == "8" ? 1 : bits == "16" ? 2 : bits == "32" ? 4 : bits == "64" ? 8 : 0;
}

File parse_file(std::string_view text, const std::string& name) {
  File file;
  Scanner scanner(text, 1);
  for (scanner.skip_space(); !scanner.at_end(); scanner.skip_space()) {
    if (scanner.begins_with(".file")) {
      const std::vector<std::string_view> words = words_of(scanner.until("\n"));
      if (words.size() < 3) throw Error(name + ": a .file directive without a number or a name");
      file.sources[number_of(words[1])] = words[2].substr(1, words[2].find('"', 1) - 1);
      continue;
    }
    if (scanner.begins_with(".version") || scanner.begins_with(".target") ||
        scanner.begins_with(".address_size")) {
      scanner.until("\n");
      continue;
    }
    std::string_view header = trimmed(scanner.until(";{"));
    if (scanner.at_end()) throw Error(name + ": the file ends within " + std::string(header));
    if (scanner.at(';')) {
      scanner.skip();
      if (header.find(".shared ") != std::string_view::npos) {
        file.shared.push_back(declaration_of(header));
      }
      continue;
    }
    const unsigned line = scanner.line();
    const std::string_view body = scanner.braces();
    const std::size_t entry = header.find(".entry ");
    if (entry == std::string_view::npos) continue;  // debug information, or a function
    header.remove_prefix(entry + 7);
    const std::size_t open = header.find('('), close = header.find(')');
    if (open == std::string_view::npos || close == std::string_view::npos) {
      throw Error(name + ": an entry without parameters: " + std::string(header));
    }
    file.entries.push_back(
        {trimmed(header.substr(0, open)), header.substr(open + 1, close - open - 1), body, line});
  }
  return file;
}

std::vector<Declaration> parse_parameters(const Entry& entry) {
  std::vector<Declaration> parameters;
  for (const std::string_view text : split(entry.parameters, ',')) {
    parameters.push_back(declaration_of(text));
  }
  return parameters;
}

Body parse_body(const Entry& entry) {
  Body body;
  Scanner scanner(entry.body, entry.line);
  unsigned source_file = 0, source_line = 0;
  for (scanner.skip_space(); !scanner.at_end(); scanner.skip_space()) {
    if (scanner.at('{') || scanner.at('}')) {  // a scope; its registers are all alike
      scanner.skip();
      continue;
    }
    if (scanner.begins_with(".loc\t") || scanner.begins_with(".loc ")) {
      // Of code from an inlined function, the place in the function.
      const std::vector<std::string_view> words = words_of(scanner.until("\n"));
      source_file = number_of(words.at(1));
      source_line = number_of(words.at(2));
      continue;
    }
    const unsigned line = scanner.line();
    if (scanner.at('$')) {
      body.labels[trimmed(scanner.until(":"))] = body.statements.size();
      scanner.skip();
      continue;
    }
    const std::string_view text = trimmed(scanner.until(";"));
    scanner.skip();
    if (text.starts_with(".reg")) {
      body.registers.push_back(registers_of(text));
    } else if (text.starts_with(".shared")) {
      body.shared.push_back(declaration_of(text));
    } else if (text.starts_with(".local")) {
      body.local.push_back(declaration_of(text));
    } else if (!text.starts_with(".pragma")) {
      body.statements.push_back(statement_of(text));
      body.statements.back().line = line;
      body.statements.back().source_file = source_file;
      body.statements.back().source_line = source_line;
    }
  }
  return body;
}

}  // namespace emulator::ptx
