// Completion for bash: a function that looks at the words before the cursor, with the table's
// names.
#include "core/check.h"
#include "core/names.h"
#include "train/program/options.h"

namespace tarn::train {
namespace {

// What may follow an option: its choices, or files; the pattern is of bash's case.
std::string value_cases(const Subcommand& subcommand) {
  std::string cases;
  for (const Option& option : subcommand.options) {
    if (option.choices.empty()) continue;
    cases += message("      ", option.name, ") words=\"", joined(option.choices, " "), "\" ;;\n");
  }
  return cases;
}

std::string one_case(const Subcommand& subcommand) {
  std::vector<std::string> names = {"--help"};
  std::vector<std::string> choices;
  for (const Option& option : subcommand.options) names.push_back(option.name);
  for (const Option& operand : subcommand.operands) {
    choices.insert(choices.end(), operand.choices.begin(), operand.choices.end());
  }
  std::string text = message("    \"", subcommand.name, "\")\n");
  const std::string cases = value_cases(subcommand);
  text += message("      options=\"", joined(names, " "), "\"; operands=\"", joined(choices, " "),
                  "\"\n");
  if (!cases.empty()) text += message("      case $before in\n", cases, "      esac\n");
  return text + "      ;;\n";
}

std::vector<std::string> names_of(const std::vector<Subcommand>& all, std::size_t prefix) {
  std::vector<std::string> names;
  names.reserve(all.size());
  for (const Subcommand& subcommand : all) names.push_back(subcommand.name.substr(prefix));
  return names;
}

}  // namespace

std::string bash_completion() {
  const std::string bench = "bench ";
  std::vector<std::string> top = names_of(subcommands(), 0);
  top.emplace_back("bench");
  std::string script = R"(# Completion of tarn for bash: source <(tarn completion bash)
_tarn() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  local command=${COMP_WORDS[1]-} options="" operands="" words=""
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W ")" +
                       joined(top, " ") + R"( --help --version" -- "$word")
    return
  fi
  if [[ $command == bench ]]; then
    if ((COMP_CWORD == 2)); then
      mapfile -t COMPREPLY < <(compgen -W ")" +
                       joined(names_of(bench_subcommands(), bench.size()), " ") + R"(" -- "$word")
      return
    fi
    command="bench ${COMP_WORDS[2]}"
  fi
  case $command in
)";
  for (const Subcommand& subcommand : subcommands()) script += one_case(subcommand);
  for (const Subcommand& subcommand : bench_subcommands()) script += one_case(subcommand);
  return script + R"(  esac
  if [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  elif [[ -n $operands ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$operands" -- "$word")
  else
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}
complete -F _tarn tarn
)";
}

}  // namespace tarn::train
