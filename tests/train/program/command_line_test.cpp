// The command line: sub-commands, options and operands, and the help, completion and manual page
// that are made of the same table.
#include "core/build_info.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

std::string printed(const Arguments& arguments) { return run_ok(arguments).out; }

bool is_on_path(const char* command) {
  return run_script("command -v " + std::string(command) + " >/dev/null").code == 0;
}

TEST_CASE("command line: tarn alone, and --help, list the sub-commands") {
  for (const Arguments& arguments : {Arguments{}, {"--help"}, {"-h"}, {"help"}}) {
    const std::string help = printed(arguments);
    for (const char* name : {"train", "eval", "generate", "transcribe", "runs", "info", "export",
                             "config", "data", "trace", "bench", "completion", "man"}) {
      CAPTURE(name);
      CHECK(contains(help, "\n  " + std::string(name) + " "));
    }
  }
  const std::string bench = printed({"bench"});
  for (const char* name : {"gemm", "attention", "step", "generation", "lstm", "speech"}) {
    CHECK(contains(bench, "\n  " + std::string(name) + " "));
  }
  CHECK(printed({"--version"}) == std::string("tarn ") + kVersion + "\n");
}

TEST_CASE("command line: the help of a sub-command has every option with its default") {
  const std::string help = printed({"generate", "--help"});
  for (const char* part : {"--set KEY=VALUE", "--count N", "--batch N", "(default: 16)", "--seed N",
                           "one of exact, compat", "RUN_OR_CHECKPOINT", "required"}) {
    CAPTURE(part);
    CHECK(contains(help, part));
  }
  CHECK(contains(printed({"bench", "attention", "-h"}), "--softmax-limit"));
}

TEST_CASE("command line: a sub-command that is none") {
  check_refused({"trian"}, {"\"trian\" is not a sub-command", "did you mean train?", "eval, "});
  check_refused({"bench", "atention"}, {"\"atention\"", "did you mean attention?", "gemm, "});
  check_refused({"frobnicate"}, {"there are train, "});
  check_refused({"--frobnicate"}, {"--frobnicate", "there are train, "});
}

TEST_CASE("command line: options and operands that are unknown, missing or too many") {
  const TinyRuns runs;
  check_refused({"train"}, {"tarn train: CONFIG is missing"});
  check_refused(runs.train("run", {}, {"--colour"}), {"has no option --colour", "--help"});
  check_refused(runs.train("run", {}, {"--wieghts", "x"}), {"did you mean --weights?"});
  check_refused(runs.train("run", {}, {"-x"}), {"has no option -x"});
  check_refused({"train", runs.config(), "--out"}, {"out", "missing an argument"});
  check_refused({"train", "--out", "--resume", runs.config()},
                {"--out wants FOLDER", "what follows is --resume"});
  check_refused({"train", runs.config(), "--out", runs / "a", "--out", runs / "b"},
                {"--out is given more than once"});
  check_refused({"eval", "a", "b"}, {"\"b\" is one argument too many"});
  check_refused({"generate", "a", "--out", runs / "x"}, {"--count is missing"});
  check_refused({"completion", "fish"}, {"expected one of bash"});
  CHECK_FALSE(fs::exists(runs / "run"));
}

TEST_CASE("command line: --resume takes no operand for a checkpoint") {
  const TinyRuns runs;
  const Arguments keep = {"train.keep_last=100"};
  run_ok(runs.train("whole", keep));
  run_ok(runs.train("parts", keep));
  const Arguments set = runs.train("parts", keep);
  const fs::path step = runs / "parts" / "checkpoints" / "step_000000007";
  Arguments before{"train", "--resume"};
  before.insert(before.end(), set.begin() + 1, set.end());  // the config comes right behind it
  run_ok(before);
  CHECK(run_difference(runs / "whole", runs / "parts") == "");
  run_ok(runs.train("parts", keep, {"--resume=latest"}));
  run_ok(runs.train("parts", keep, {"--resume=" + step.string()}));
  CHECK(run_difference(runs / "whole", runs / "parts") == "");
}

TEST_CASE("command line: values with commas, equals signs, dashes and behind a double dash") {
  CHECK(contains(printed({"config", "--", "train.steps"}), "train.steps"));
  const TinyRuns runs;
  const auto dry = [&](const Arguments& more) { return runs.train("run", {}, more); };
  run_ok(dry({"--dry-run", "--set=run.name=a,b=c"}));
  check_refused(dry({"--set", "optimizer.lr=-1"}), {"optimizer.lr is -1"});
}

TEST_CASE("command line: whole numbers outside of their range are refused, in every sub-command") {
  const std::string folder = "none";
  const std::vector<Arguments> commands = {
      {"generate", "x", "--out", folder, "--count", "1", "--seed"},
      {"generate", "x", "--out", folder, "--count"},
      {"generate", "x", "--out", folder, "--count", "1", "--batch"},
      {"generate", "x", "--out", folder, "--count", "1", "--completions"},
      {"generate", "x", "--out", folder, "--count", "1", "--keep"},
      {"eval", "x", "--count"},
      {"transcribe", "x", "y", "--beam"},
      {"trace", "x", "--weights", "w", "--batch", "b", "--out", "o", "--steps"},
      {"data", "x", "--draw-images"},
      {"data", "x", "--seed"},
      {"data", "x", "--channel"},
      {"bench", "gemm", "--rows"},
      {"bench", "gemm", "--threads"},
      {"bench", "attention", "--lengths"},
      {"bench", "attention", "--heads"},
      {"bench", "attention", "--head-dim"},
      {"bench", "attention", "--positions"},
      {"bench", "attention", "--softmax-limit"},
      {"bench", "lstm", "--frames"},
      {"bench", "lstm", "--hidden"},
      {"bench", "speech", "--batch"},
      {"bench", "speech", "--rounds"},
      {"bench", "generation", "--batches"},
      {"bench", "generation", "--positions"},
      {"bench", "generation", "--group"},
  };
  for (const Arguments& command : commands) {
    for (const char* value : {"-1", "18446744073709551616", "1e23", "100000000000000000000000", "",
                              "3x", "0x10", "1.5"}) {
      Arguments arguments = command;
      arguments.emplace_back(value);
      CAPTURE(command[0]);
      check_refused(arguments, {command.back() + " is \"" + value + "\"", "a whole number from"});
    }
  }
}

TEST_CASE("command line: config numbers that f32 makes zero or infinite are out of range") {
  const TinyRuns runs;
  for (const char* key : {"optimizer.lr", "optimizer.eps", "optimizer.weight_decay",
                          "optimizer.max_grad_norm", "model.attention_eps"}) {
    for (const char* value : {"1e-50", "1e-300", "1e39", "1e300"}) {
      const std::string set = std::string(key) + "=" + value;
      const Outcome outcome = run_program(runs.train("run", {set}, {"--dry-run"}));
      CAPTURE(set);
      CAPTURE(outcome.err);
      CHECK(outcome.code == 2);
      CHECK(contains(outcome.err, key));
    }
  }
  check_refused(runs.train("run", {"optimizer.lr=1e-50"}),
                {"optimizer.lr is 1e-50", "f32", "makes it 0"});
}

TEST_CASE("command line: a path that no file system takes is the user's to mend") {
  const TinyRuns runs;
  const std::string name(300, 'x');
  check_refused({"train", runs.config(), "--out", runs / name}, {"File name too long"});
  check_refused({"train", name}, {"File name too long"});
  check_refused({"eval", runs / name}, {"File name too long"});
  check_refused({"data", runs / name}, {"File name too long"});
}

TEST_CASE("command line: bash completes sub-commands, options, choices and files") {
  const auto completed = [](const std::string& line) {
    return run_script(R"(source <("$TARN" completion bash) || exit 3
      read -ra COMP_WORDS < <(echo ")" +
                      line + R"("); [[ ")" + line + R"(" == *' ' ]] && COMP_WORDS+=("")
      COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tarn; echo "${COMPREPLY[*]}")")
        .out;
  };
  CHECK(contains(completed("tarn tr"), "train"));
  CHECK(contains(completed("tarn tr"), "transcribe"));
  CHECK(completed("tarn bench ge") == "gemm generation\n");
  CHECK(completed("tarn train --re") == "--resume\n");
  CHECK(completed("tarn generate run --sampler co") == "compat\n");
  CHECK(completed("tarn bench generation --model ") == "mnist cifar\n");
  CHECK(completed("tarn completion ") == "bash\n");
  CHECK(completed("tarn train /etc/host") != "\n");
}

TEST_CASE("command line: the manual page has every sub-command and option, and troff takes it") {
  const std::string page = printed({"man"});
  for (const char* part : {".TH TARN 1", ".SS tarn train CONFIG", ".SS tarn bench gemm",
                           "\\-\\-resume", "\\-\\-softmax\\-limit", ".SH EXIT STATUS"}) {
    CAPTURE(part);
    CHECK(contains(page, part));
  }
  if (!is_on_path("groff")) return;
  const Outcome outcome = run_script("\"$TARN\" man | groff -man -Tascii -ww -z");
  CHECK(outcome.code == 0);
  CHECK(outcome.err == "");
}

}  // namespace
}  // namespace tarn::test
