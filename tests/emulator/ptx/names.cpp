#include "tests/emulator/ptx/names.h"

#include <charconv>

namespace emulator::ptx {
namespace {

constexpr std::uint32_t kRedZone = 128;  // between shared arrays; keeps the banks as they are
constexpr std::uint32_t kRowAlign = 64;

std::uint32_t aligned(std::uint32_t offset, std::uint32_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

}  // namespace

std::optional<std::uint64_t> literal(std::string_view text, std::uint8_t element) {
  const bool negative = text.starts_with('-');
  std::string_view digits = text.substr(negative ? 1 : 0);
  int base = 10;
  if (digits.starts_with("0f") || digits.starts_with("0d") || digits.starts_with("0x")) {
    if (digits[1] != 'x' && element != (digits[1] == 'f' ? 4 : 8)) return {};
    digits.remove_prefix(2);
    base = 16;
  }
  std::uint64_t bits = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), bits, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return {};
  return negative ? 0 - bits : bits;
}

Names::Names(Kernel& kernel, const File& file, const Entry& entry, const Body& body)
    : kernel_(kernel) {
  symbols_["WARP_SZ"] = kLanes;  // the only constant that PTX has a word for
  place_parameters(entry);
  for (const Declaration& declared : file.shared) {
    if (entry.body.find(declared.name) != std::string_view::npos) place_shared(declared);
  }
  for (const Declaration& declared : body.shared) place_shared(declared);
  for (const Declaration& declared : body.local) {
    const std::uint32_t offset = aligned(kernel_.local_bytes, declared.alignment);
    symbols_[declared.name] = offset;
    kernel_.local_bytes = aligned(offset + declared.bytes, 16);
  }
  for (const Registers& registers : body.registers) declare(registers);
}

void Names::place_parameters(const Entry& entry) {
  for (const Declaration& declared : parse_parameters(entry)) {
    const std::uint32_t offset = aligned(kernel_.parameter_bytes, declared.alignment);
    kernel_.parameters.push_back({declared.name, offset, declared.bytes});
    symbols_[declared.name] = offset;
    kernel_.parameter_bytes = offset + declared.bytes;
  }
}

void Names::place_shared(const Declaration& declared) {
  const std::uint32_t offset = aligned(kernel_.shared_bytes + kRedZone, kRedZone);
  kernel_.shared.push_back({declared.name, offset, declared.bytes});
  symbols_[declared.name] = offset;
  kernel_.shared_bytes = offset + declared.bytes + kRedZone;
}

void Names::declare(const Registers& registers) {
  const auto element = static_cast<std::uint8_t>(bytes_of(registers.type));
  const std::string name(registers.name);
  if (registers.count == 0) {  // in each scope that needs it
    if (!registers_.contains(name)) registers_[name] = new_row(element);
    return;
  }
  for (unsigned i = 0; i < registers.count; ++i) {
    registers_[name + std::to_string(i)] = new_row(element);
  }
}

Operand Names::new_row(std::uint8_t element) {
  const Operand operand{kernel_.register_bytes, element};
  kernel_.register_bytes += element == 0 ? kRowAlign : aligned(element * kLanes, kRowAlign);
  return operand;
}

Operand Names::constant(std::uint64_t bits, std::uint8_t element) {
  const auto [found, is_new] = constants_.try_emplace({bits, element});
  if (is_new) {
    found->second = new_row(element);
    kernel_.constants.push_back({found->second, bits});
  }
  return found->second;
}

// %tid.x and its like.
Operand Names::special(std::string_view text) {
  struct Name {
    std::string_view name;
    Special special;
  };
  constexpr Name kNames[] = {{"%tid.", Special::tid},
                             {"%ctaid.", Special::ctaid},
                             {"%ntid.", Special::ntid},
                             {"%nctaid.", Special::nctaid},
                             {"%laneid", Special::laneid}};
  for (const Name& name : kNames) {
    if (!text.starts_with(name.name)) continue;
    const Operand row = registers_[std::string(text)] = new_row(4);
    const char last = text.back();
    const auto axis = static_cast<std::uint8_t>(last == 'y' ? 1 : last == 'z' ? 2 : 0);
    kernel_.specials.push_back({name.special, axis, row});
    return row;
  }
  throw Error("unknown register " + std::string(text));
}

Operand Names::operand(std::string_view text, std::uint8_t element) {
  if (text.starts_with('%')) {
    const auto found = registers_.find(text);
    const Operand operand = found == registers_.end() ? special(text) : found->second;
    if (element != kAnySize && operand.bytes != element) {
      throw Error("another size of " + std::string(text) + " was expected");
    }
    return operand;
  }
  if (const auto symbol = symbols_.find(text); symbol != symbols_.end()) {
    return constant(symbol->second, element);
  }
  const std::optional<std::uint64_t> number = literal(text, element);
  if (!number) throw Error("unknown operand " + std::string(text));
  return constant(*number, element);
}

}  // namespace emulator::ptx
