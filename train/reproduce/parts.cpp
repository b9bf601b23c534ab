#include "train/reproduce/parts.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "core/names.h"
#include "data/checksum.h"
#include "train/config/config.h"
#include "train/reproduce/child_process.h"
#include "train/reproduce/experiment.h"
#include "train/run/run_log.h"
#include "train/run/signals.h"

namespace tarn::train::reproduce {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kShortHash = 12;  // of the digits, in the names of folders

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n");
  if (end == text.npos) return "";
  const std::size_t begin = text.find_last_of('\n', end);
  return text.substr(begin == text.npos ? 0 : begin + 1, end - (begin == text.npos ? -1 : begin));
}

// The seconds of a run's training, from the times of the steps that are logged.
double seconds_of_steps(const fs::path& run) {
  double seconds = 0;
  std::int64_t step = 0;
  for (const LogLine& line : read_log(RunFolder(run))) {
    const std::optional<double> one = value_named(line.timing, "seconds_per_step");
    if (!one) continue;
    seconds += static_cast<double>(line.step - step) * *one;
    step = line.step;
  }
  return seconds;
}

// The last line that the command printed, if it is JSON; null if not.
json value_of(const std::string& output) {
  const std::string line = last_line(output);
  return line.starts_with('{') || line.starts_with('[') ? parse_json(line, "the output") : json();
}

fs::path made(fs::path folder) {
  make_directories(folder);
  return folder;
}

}  // namespace

Parts::Parts(fs::path root, fs::path out)
    : root_(std::move(root)),
      out_(made(std::move(out))),
      program_(fs::read_symlink("/proc/self/exe").string()),
      program_hash_(data::sha256_of(read_file(program_))),
      lock_(out_ / ".lock") {}

std::string Parts::portable(const std::string& text) const {
  return replaced(text, out_.string(), "{out}");
}

std::string Parts::hash_of(const std::vector<Words>& parts) const {
  std::string text = program_hash_;
  for (const Words& words : parts) {
    text += '\n';
    for (const std::string& word : words) text += portable(word) + '\0';
  }
  return data::sha256_of(text);
}

std::string Parts::run_child_of(const std::string& name, const Words& words, std::string& missing) {
  Words argv = words;
  argv[0] = words[0] == "tarn" ? program_ : (root_ / words[0]).string();
  const ChildResult ended = run_child(argv, "", [&](const std::string& errors) {
    if (status_.due()) status_.show({name + ":", last_line(errors)});
  });
  if (signal_received() != 0) throw Interrupted();
  if (ended.exit_code != 0) {
    const std::string how = ended.signal != 0 ? message("was ended by signal ", ended.signal)
                                              : message("ended with exit code ", ended.exit_code);
    missing = message(joined(words, " "), " ", how, ": ", last_line(ended.errors));
    status_.note(name + ": " + missing);
    failed_ = true;
  }
  return ended.output;
}

Trained Parts::train(const std::string& name, const fs::path& config, const Words& set) {
  Trained trained;
  trained.config_hash = data::sha256_of(portable(to_toml(load_config(config, set))));
  const std::string hash = hash_of({{trained.config_hash}});
  trained.folder = out_ / "runs" / (name + "-" + hash.substr(0, kShortHash));
  const fs::path finished = trained.folder.string() + ".done";
  if (!fs::exists(finished)) {
    Words words{"tarn", "train", config.string(), "--out", trained.folder.string()};
    for (const std::string& key : set) words.insert(words.end(), {"--set", key});
    if (fs::exists(trained.folder / "checkpoints" / "latest")) words.push_back("--resume");
    run_child_of(name, words, trained.missing);
    if (!trained.missing.empty()) return trained;
    write_file_atomically(finished, hash + "\n");
  }
  trained.seconds = seconds_of_steps(trained.folder);
  return trained;
}

Done Parts::run(const std::string& name, const std::vector<Words>& commands, const Words& inputs) {
  std::vector<Words> parts = commands;
  parts.push_back(inputs);
  const std::string hash = hash_of(parts);
  Done done;
  done.folder = out_ / "commands" / (name + "-" + hash.substr(0, kShortHash));
  const fs::path record = done.folder.string() + ".json";
  if (!fs::exists(record)) {
    fs::remove_all(done.folder);  // of a start that was killed
    make_directories(done.folder);
    const fs::path file = done.folder / "value.json";
    const auto start = std::chrono::steady_clock::now();
    std::string output;
    for (std::size_t i = 0; i < commands.size(); ++i) {
      Words words = commands[i];
      for (std::string& word : words) {
        word = replaced(replaced(word, "{json}", file.string()), "{dir}", done.folder.string());
      }
      output = run_child_of(name, words, done.missing);
      if (!done.missing.empty()) return done;
      write_file(done.folder / (std::to_string(i + 1) + ".out"),
                 std::vector<std::string_view>{output});
    }
    const json value = fs::exists(file) ? read_json(file) : value_of(output);
    done.value = value.dump();
    done.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const json entry{{"commands", commands}, {"seconds", done.seconds}, {"value", value}};
    write_file_atomically(record, entry.dump(2) + "\n");
    return done;
  }
  const json entry = read_json(record);
  done.value = entry.at("value").dump();
  done.seconds = entry.at("seconds");
  return done;
}

}  // namespace tarn::train::reproduce
