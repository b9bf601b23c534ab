// The table behind the command line: sub-commands with their options and operands. Parsing, help,
// completion and the man page all read it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace tarn::train {

// One option ("--out FOLDER"), flag ("--json"), or operand ("CONFIG"). `set` takes the text that
// was given, and throws ConfigError that names the option, the text and what was expected.
struct Option {
  std::string name;   // with its dashes; an operand's in capitals
  std::string value;  // what is given to an option, in capitals; empty for flags and operands
  std::string help;
  std::string default_text = {};  // empty: none, or said in the help
  std::vector<std::string> choices = {};
  bool required = false;
  bool repeatable = false;  // each time adds to what was given before
  bool value_optional =
      false;  // "--resume", which means "--resume=latest", or "--resume=CHECKPOINT"
  std::function<void(const std::string&)> set = {};
};

struct Subcommand {
  std::string name;     // "train", or "bench gemm"
  std::string purpose;  // one line
  std::vector<Option> operands, options;
  std::function<int()> run;  // after the options were set; returns the exit code
};

// Options whose value goes to a variable, which must outlive the table. The variable's value is the
// default.
Option flag(std::string name, bool& target, std::string help);
Option text(std::string name, std::string value, std::string& target, std::string help);
Option choice(std::string name, std::string& target, std::vector<std::string> choices,
              std::string help);
Option path(std::string name, std::string value, std::filesystem::path& target, std::string help);
Option number(std::string name, std::int64_t& target, std::int64_t low, std::int64_t high,
              std::string help);
Option number(std::string name, std::uint64_t& target, std::string help);
Option number(std::string name, double& target, double low, std::string help);
// Several, separated by commas; what is given replaces the default as a whole.
Option numbers(std::string name, std::vector<std::int64_t>& target, std::int64_t low,
               std::int64_t high, std::string help);
Option texts(std::string name, std::vector<std::string>& target, std::vector<std::string> choices,
             std::string help);
// Given any number of times, one value each.
Option repeated(std::string name, std::string value, std::vector<std::string>& target,
                std::string help);
// --set.
Option overrides(std::vector<std::string>& set);

Option operand(std::string name, std::filesystem::path& target, std::string help);
Option operands(std::string name, std::vector<std::filesystem::path>& target, std::string help);

constexpr std::int64_t kLargestCount = 1'000'000'000;

// The whole table, in the order of the help.
std::vector<Subcommand> subcommands();
std::vector<Subcommand> bench_subcommands();  // those of `tarn bench`

// Sets the options and operands that the arguments give. ConfigError for what is unknown (with the
// nearest name), missing, too much, or out of range. False if the arguments ask for help.
bool parse(const Subcommand& subcommand, const std::vector<std::string>& arguments);

// What `tarn SUBCOMMAND --help` and `tarn --help` print; `group` is "" or "bench".
std::string help_of(const Subcommand& subcommand);
std::string help_of_all(const std::string& group);

// The line behind an option's name: its help, choices and default.
std::string described(const Option& option);

// A script for bash that completes sub-commands, options, choices and files.
std::string bash_completion();

// The manual page tarn(1), as troff with the macros of man(7).
std::string man_page();

}  // namespace tarn::train
