// Reading the command line with cxxopts, and the help.
#define CXXOPTS_VECTOR_DELIMITER '\0'  // values may hold commas: lists are split by options.cpp
#include <cxxopts.hpp>

#include "core/check.h"
#include "core/names.h"
#include "train/program/options.h"

namespace tarn::train {
namespace {

constexpr const char* kOperands = "operands";
constexpr const char* kLatest = "latest";  // the value of --resume that is left out

std::string usage_of(const Option& operand) {
  const std::string name = operand.name + (operand.repeatable ? "..." : "");
  return operand.required ? name : message("[", name, "]");
}

cxxopts::Options described_to_cxxopts(const Subcommand& subcommand) {
  cxxopts::Options options(message("tarn ", subcommand.name), subcommand.purpose);
  options.allow_unrecognised_options();  // they are refused below, with the nearest name
  std::vector<std::string> usage;
  for (const Option& operand : subcommand.operands) usage.push_back(usage_of(operand));
  options.custom_help("[options]").positional_help(joined(usage, " "));
  options.set_width(96);
  for (const Option& option : subcommand.options) {
    const auto value =
        std::make_shared<cxxopts::values::standard_value<std::vector<std::string>>>();
    if (option.value.empty()) {
      options.add_options()(option.name.substr(2), described(option),
                            cxxopts::value<bool>()->default_value("false"));
      continue;
    }
    if (option.value_optional) value->implicit_value(kLatest);
    options.add_options()(option.name.substr(2), described(option), value, option.value);
  }
  options.add_options()("h,help", "print this");
  options.add_options("hidden")(kOperands, "", cxxopts::value<std::vector<std::string>>());
  options.parse_positional({kOperands});
  return options;
}

[[noreturn]] void refuse_unknown(const Subcommand& subcommand, const std::string& given) {
  const std::string name = given.substr(0, given.find('='));
  std::vector<std::string> names = {"--help"};
  for (const Option& option : subcommand.options) names.push_back(option.name);
  const std::string near = nearest_name(name, names);
  fail<ConfigError>("tarn ", subcommand.name, " has no option ", name,
                    near.empty() ? message("; see tarn ", subcommand.name, " --help")
                                 : message("; did you mean ", near, "?"));
}

void set_options(const Subcommand& subcommand, const cxxopts::ParseResult& parsed) {
  for (const Option& option : subcommand.options) {
    const std::string name = option.name.substr(2);
    if (parsed.count(name) == 0) continue;
    if (option.value.empty()) {
      option.set("");
      continue;
    }
    const auto& given = parsed[name].as<std::vector<std::string>>();
    TARN_CHECK_AS(ConfigError, given.size() == 1 || option.repeatable, option.name,
                  " is given more than once");
    for (const std::string& value : given) {
      TARN_CHECK_AS(ConfigError, !value.starts_with("--"), option.name, " wants ", option.value,
                    ", but what follows is ", value);
      option.set(value);
    }
  }
}

void set_operands(const Subcommand& subcommand, const cxxopts::ParseResult& parsed) {
  std::vector<std::string> given;
  if (parsed.count(kOperands) > 0) given = parsed[kOperands].as<std::vector<std::string>>();
  std::size_t used = 0;
  for (const Option& operand : subcommand.operands) {
    TARN_CHECK_AS(ConfigError, used < given.size() || !operand.required, "tarn ", subcommand.name,
                  ": ", operand.name, " is missing: ", operand.help);
    while (used < given.size()) {
      operand.set(given[used++]);
      if (!operand.repeatable) break;
    }
  }
  TARN_CHECK_AS(ConfigError, used == given.size(), "tarn ", subcommand.name, ": \"", given[used],
                "\" is one argument too many; see tarn ", subcommand.name, " --help");
}

void check_required(const Subcommand& subcommand, const cxxopts::ParseResult& parsed) {
  for (const Option& option : subcommand.options) {
    TARN_CHECK_AS(ConfigError, !option.required || parsed.count(option.name.substr(2)) > 0, "tarn ",
                  subcommand.name, ": ", option.name, " is missing: ", option.help);
  }
}

}  // namespace

bool parse(const Subcommand& subcommand, const std::vector<std::string>& arguments) {
  std::vector<const char*> words = {"tarn"};
  for (const std::string& argument : arguments) words.push_back(argument.c_str());
  cxxopts::Options options = described_to_cxxopts(subcommand);
  try {
    const cxxopts::ParseResult parsed = options.parse(static_cast<int>(words.size()), words.data());
    for (const std::string& left : parsed.unmatched()) {
      if (left.starts_with("-") && left != "-") refuse_unknown(subcommand, left);
    }
    if (parsed.count("help") > 0) return false;
    set_options(subcommand, parsed);
    set_operands(subcommand, parsed);
    check_required(subcommand, parsed);
  } catch (const cxxopts::exceptions::exception& error) {
    fail<ConfigError>("tarn ", subcommand.name, ": ", error.what());
  }
  return true;
}

std::string help_of(const Subcommand& subcommand) {
  std::string help = described_to_cxxopts(subcommand).help({""});
  for (const Option& operand : subcommand.operands) {
    help += message("\n  ", operand.name, "  ", described(operand));
  }
  return help + "\n";
}

std::string help_of_all(const std::string& group) {
  const bool bench = group == "bench";
  const std::vector<Subcommand> all = bench ? bench_subcommands() : subcommands();
  std::string help = bench ? "tarn bench: measures tarn on this machine\n\n"
                           : "tarn trains linear-attention transformers\n\n";
  help += message("usage: tarn ", bench ? "bench " : "", "COMMAND [options]\n\n");
  const auto line = [&help](const std::string& name, const std::string& purpose) {
    const std::size_t gap = name.size() < 12 ? 12 - name.size() : 1;
    help += message("  ", name, std::string(gap, ' '), purpose, "\n");
  };
  for (const Subcommand& subcommand : all) {
    line(subcommand.name.substr(bench ? group.size() + 1 : 0), subcommand.purpose);
  }
  if (!bench) line("bench", "measures tarn on this machine; tarn bench lists what");
  help += message("\ntarn ", bench ? "bench " : "", "COMMAND --help says more",
                  bench ? "" : "; tarn --version prints the version", "\n");
  return help;
}

}  // namespace tarn::train
