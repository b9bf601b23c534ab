// The manual page, from the table of sub-commands.
#include "core/build_info.h"
#include "core/check.h"
#include "train/program/options.h"

namespace tarn::train {
namespace {

// Text as troff takes it: a dash is a minus sign, and no line begins with a control character.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '-') {
      out += "\\-";
    } else if (c == '\\') {
      out += "\\e";
    } else {
      out += c;
    }
  }
  return out.starts_with('.') || out.starts_with('\'') ? message("\\&", out) : out;
}

std::string entry(const Option& option) {
  std::string name = message("\\fB", escaped(option.name), "\\fR");
  if (!option.value.empty()) {
    const std::string value = message("\\fI", escaped(option.value), "\\fR");
    name += option.value_optional ? message("[=", value, "]") : message(" ", value);
  }
  return message(".TP\n", name, "\n", escaped(described(option)), "\n");
}

std::string section(const Subcommand& subcommand) {
  std::string text = message(".SS tarn ", escaped(subcommand.name));
  for (const Option& operand : subcommand.operands) text += message(" ", escaped(operand.name));
  text += message("\n", escaped(subcommand.purpose), ".\n");
  for (const Option& operand : subcommand.operands) text += entry(operand);
  for (const Option& option : subcommand.options) text += entry(option);
  return text;
}

}  // namespace

std::string man_page() {
  std::string page = message(".TH TARN 1 \"\" \"tarn ", kVersion, "\" \"User Commands\"\n");
  page += R"(.SH NAME
tarn \- train linear\-attention transformers
.SH SYNOPSIS
.B tarn
.I COMMAND
.RI [ options ]
.SH DESCRIPTION
Trains, evaluates and runs transformers with linear attention from config files.
Every command prints its options with
.BR \-\-help .
.SH COMMANDS
)";
  for (const Subcommand& subcommand : subcommands()) page += section(subcommand);
  for (const Subcommand& subcommand : bench_subcommands()) page += section(subcommand);
  return page + R"(.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
Something failed: memory, a disk, a loss that is not finite.
.TP
.B 2
The command line, the config or a file is wrong, and the message says how.
.TP
.BR 128+ "signal"
Stopped by a signal; a run was saved before.
)";
}

}  // namespace tarn::train
