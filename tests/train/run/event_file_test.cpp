// The files for TensorBoard, read by a reader of their own: framing, checksums, values; and that
// they agree with metrics.jsonl whatever happened to the run.
#include "train/run/event_file.h"

#include <array>
#include <bit>
#include <csignal>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Bit by bit, as the polynomial's definition has it.
std::uint32_t crc32c_by_bits(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}

std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8U; }

// Takes values from the front of some bytes.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : left_(bytes) {}

  bool empty() const { return left_.empty(); }

  std::string_view take(std::size_t count) {
    REQUIRE(count <= left_.size());
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }

  template <class Value>
  Value fixed() {
    Value value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);  // the tests' machines are
    return value;                                                  // little-endian
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  std::string_view sized() { return take(varint()); }

 private:
  std::string_view left_;
};

struct Event {
  double time = 0;
  std::int64_t step = 0;
  std::string version;
  bool starts_session = false;
  std::map<std::string, float> scalars;
};

void read_summary(Event& event, Bytes summary) {
  while (!summary.empty()) {
    REQUIRE(summary.varint() == (1 << 3 | 2));
    Bytes value(summary.sized());
    REQUIRE(value.varint() == (1 << 3 | 2));
    const std::string tag(value.sized());
    REQUIRE(value.varint() == (2 << 3 | 5));
    CHECK(event.scalars.emplace(tag, value.fixed<float>()).second);
    CHECK(value.empty());
  }
}

Event read_event(Bytes bytes) {
  Event event;
  while (!bytes.empty()) {
    switch (bytes.varint()) {
      case 1 << 3 | 1:
        event.time = bytes.fixed<double>();
        break;
      case 2 << 3 | 0:
        event.step = static_cast<std::int64_t>(bytes.varint());
        break;
      case 3 << 3 | 2:
        event.version = bytes.sized();
        break;
      case 5 << 3 | 2:
        read_summary(event, Bytes(bytes.sized()));
        break;
      case 7 << 3 | 2:
        event.starts_session = bytes.sized() == "\x08\x01";
        break;
      default:
        FAIL("an unknown field");
    }
  }
  return event;
}

std::vector<Event> read_events(const fs::path& file) {
  const std::string text = read_file(file);
  Bytes bytes(text);
  std::vector<Event> events;
  while (!bytes.empty()) {
    const std::string_view length = bytes.take(8);
    CHECK(bytes.fixed<std::uint32_t>() == masked(crc32c_by_bits(length)));
    const std::string_view content = bytes.take(Bytes(length).fixed<std::uint64_t>());
    CHECK(bytes.fixed<std::uint32_t>() == masked(crc32c_by_bits(content)));
    events.push_back(read_event(Bytes(content)));
  }
  return events;
}

// The one event file of a folder.
fs::path file_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  REQUIRE(files.size() == 1);
  CHECK(contains(files[0].filename().string(), "tfevents"));
  return files[0];
}

// That a file has the lines of metrics.jsonl, each once and in their order.
void check_agrees(const fs::path& folder, const fs::path& metrics) {
  const std::vector<Event> events = read_events(file_in(folder));
  REQUIRE(events.size() >= 2);
  CHECK(events[0].version == "brain.Event:2");
  CHECK(events[1].starts_session);
  std::size_t at = 2;
  const std::string text = read_file(metrics);
  for (std::size_t first = 0, end = 0; (end = text.find('\n', first)) != text.npos;
       first = end + 1) {
    const json line = json::parse(text.substr(first, end - first));
    REQUIRE(at < events.size());
    const Event& event = events[at++];
    const bool evaluation = line.contains("evaluation");
    CAPTURE(line.dump());
    CHECK(event.step == line["step"]);
    CHECK(event.time > 1.7e9);
    const json values = evaluation ? line["evaluation"] : line;
    for (const auto& [name, value] : values.items()) {
      if (name == "step") continue;
      const std::string tag = evaluation     ? "evaluation/" + name
                              : name == "lr" ? name
                                             : "train/" + name;
      REQUIRE(event.scalars.contains(tag));
      CHECK(event.scalars.at(tag) == value.get<float>());
    }
    CHECK(event.scalars.contains("timing/tokens_per_s") == !evaluation);
  }
  CHECK(at == events.size());
}

TEST_CASE("events: CRC-32C of known texts, plain and masked") {
  CHECK(train::crc32c_of("123456789") == 0xe3069283);
  CHECK(train::crc32c_of(std::string(32, '\0')) == 0x8a9136aa);  // RFC 3720, B.4
  CHECK(train::crc32c_of(std::string(32, '\xff')) == 0x62a8ab43);
  CHECK(train::crc32c_of("") == 0);
  CHECK(train::masked_crc32c_of("123456789") == masked(0xe3069283));
}

TEST_CASE("events: what a run writes while it trains, and what is exported, is its metrics") {
  const TinyRuns runs;
  run_ok(runs.train("run", {"run.tensorboard=true", "train.steps=40"}));
  check_agrees(runs / "run" / "tensorboard", runs / "run" / "metrics.jsonl");
  run_ok({"export", runs / "run", "--tensorboard", runs / "out"});
  check_agrees(runs / "out", runs / "run" / "metrics.jsonl");
  check_refused({"export", runs / "run", "--tensorboard", runs / "out"}, {"out is not empty"});
  run_ok(runs.train("plain", {"train.steps=4"}));
  CHECK_FALSE(fs::exists(runs / "plain" / "tensorboard"));
}

TEST_CASE("events: without times the first that is known counts, and large steps are whole") {
  const TempDir dir;
  const std::int64_t large = (std::int64_t{1} << 40) + 5;
  std::vector<train::LogLine> log(3);
  log[0] = {.step = 1, .evaluation = true, .values = {{"loss", 2.5}}, .timing = {}, .time = {}};
  log[1] = {.step = large,
            .evaluation = false,
            .values = {{"loss", std::numeric_limits<double>::quiet_NaN()}, {"lr", 0.5}},
            .timing = {{"tokens_per_s", 7}},
            .time = 1.8e9};
  log[2] = {.step = large, .evaluation = true, .values = {{"per", 0}}, .timing = {}, .time = {}};
  train::export_events(dir / "out", log);
  const std::vector<Event> events = read_events(file_in(dir / "out"));
  REQUIRE(events.size() == 5);
  for (const Event& event : events) CHECK(event.time == 1.8e9);
  CHECK(events[2].scalars == std::map<std::string, float>{{"evaluation/loss", 2.5F}});
  CHECK(events[3].step == large);
  CHECK(std::isnan(events[3].scalars.at("train/loss")));
  CHECK(events[3].scalars.at("lr") == 0.5F);
  CHECK(events[3].scalars.at("timing/tokens_per_s") == 7);
  CHECK(events[4].scalars.at("evaluation/per") == 0);
}

TEST_CASE(
    "events: after kills, and from an earlier checkpoint, no step is there twice or missing") {
  const TinyRuns runs;
  const Arguments settings = {"run.tensorboard=true", "train.steps=300", "train.keep_last=100"};
  const double whole = run_ok(runs.train("whole", settings)).seconds;
  const fs::path run = runs / "run", events = run / "tensorboard";
  for (int i = 1; i <= 4; ++i) {
    run_and_kill(runs.go_on("run", settings), whole * i / 6);
  }
  if (fs::exists(events)) {  // what a kill may leave: half a record
    for (const auto& entry : fs::directory_iterator(events)) {
      write_text(entry.path(), read_file(entry.path()) + std::string(7, 'x'));
    }
  }
  run_ok(runs.go_on("run", settings));
  check_agrees(events, run / "metrics.jsonl");
  const fs::path before = file_in(events);
  const fs::path earlier = run / "checkpoints" / "step_000000021";
  write_text(events / "notes.txt", "mine");
  run_ok(runs.train("run", settings, {"--resume=" + earlier.string()}));
  CHECK(read_file(events / "notes.txt") == "mine");
  fs::remove(events / "notes.txt");
  check_agrees(events, run / "metrics.jsonl");
  CHECK(file_in(events).filename() > before.filename());  // a reader goes on to the later name
  CHECK(run_difference(runs / "whole", run) == "");
}

TEST_CASE("events: they can be asked for when a run is resumed, and it then has all of them") {
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=20"}));
  run_ok(runs.resume("run", {"train.steps=40", "run.tensorboard=true"}));
  check_agrees(runs / "run" / "tensorboard", runs / "run" / "metrics.jsonl");
}

// Of a run that a tarn began which had no such key.
TEST_CASE("events: a checkpoint whose config has no run.tensorboard is resumed") {
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=20"}));
  const fs::path checkpoint = latest_checkpoint(runs / "run");
  std::string toml = read_file(checkpoint / "config.toml");
  const std::string line = "tensorboard = false\n";
  toml.erase(toml.find(line), line.size());
  write_text(checkpoint / "config.toml", toml);
  json state = json::parse(read_file(checkpoint / "state.json"));
  state["files"]["config.toml"] = {{"bytes", toml.size()}, {"crc32", crc32_of(toml)}};
  state.erase("crc32");
  state["crc32"] = crc32_of(state.dump());
  write_text(checkpoint / "state.json", state.dump());
  run_ok(runs.resume("run", {"train.steps=40"}));
}

}  // namespace
}  // namespace tarn::test
