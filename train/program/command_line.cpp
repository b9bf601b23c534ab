// From the program's arguments to a sub-command, and from errors to exit codes.
#include <cstdio>
#include <exception>

#include "core/build_info.h"
#include "core/check.h"
#include "core/io/standard_streams.h"
#include "core/names.h"
#include "train/program/commands.h"
#include "train/program/options.h"

namespace tarn::train {
namespace {

[[noreturn]] void refuse_unknown(const std::string& given, const std::string& group,
                                 const std::vector<Subcommand>& known) {
  std::vector<std::string> names;
  names.reserve(known.size() + 1);
  for (const Subcommand& subcommand : known) {
    names.push_back(subcommand.name.substr(group.empty() ? 0 : group.size() + 1));
  }
  if (group.empty()) names.emplace_back("bench");
  const std::string near = nearest_name(given, names);
  fail<ConfigError>("\"", given, "\" is not a sub-command of tarn", group.empty() ? "" : " ", group,
                    "; ", near.empty() ? "" : message("did you mean ", near, "? "), "there are ",
                    joined(names));
}

bool asks_for_help(const std::string& word) {
  return word == "--help" || word == "-h" || word == "help";
}

int print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return 0;
}

int run(std::vector<std::string> arguments) {
  std::string group;
  if (!arguments.empty() && arguments[0] == "bench") {
    group = "bench";
    arguments.erase(arguments.begin());
  }
  if (arguments.empty() || asks_for_help(arguments[0])) return print(help_of_all(group));
  if (group.empty() && arguments[0] == "--version") {
    return print(message("tarn ", kVersion, "\n"));
  }
  const std::vector<Subcommand> known = group.empty() ? subcommands() : bench_subcommands();
  const std::string name = group.empty() ? arguments[0] : group + " " + arguments[0];
  for (const Subcommand& subcommand : known) {
    if (subcommand.name != name) continue;
    arguments.erase(arguments.begin());
    return parse(subcommand, arguments) ? subcommand.run() : print(help_of(subcommand));
  }
  refuse_unknown(arguments[0], group, known);
}

}  // namespace

int completion_command(const CompletionCommand&) { return print(bash_completion()); }
int man_command() { return print(man_page()); }

int run_program(int argc, char** argv) {
  try {
    const int code = run({argv + std::min(argc, 1), argv + argc});
    flush_standard_output();
    return code;
  } catch (const ReaderGone&) {
    return 0;
  } catch (const UserError& error) {
    std::fprintf(stderr, "tarn: %s\n", error.what());
    return 2;
  } catch (const std::filesystem::filesystem_error& error) {  // of a path that cannot be looked at
    std::fprintf(stderr, "tarn: %s: %s\n", error.path1().c_str(), error.code().message().c_str());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tarn: %s\n", error.what());
    return 1;
  }
}

}  // namespace tarn::train
