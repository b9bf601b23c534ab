#include "train/config/config.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/io/file.h"
#include "tests/support/paths.h"

namespace tarn::train {
namespace {

using Overrides = std::vector<std::string>;

Config parse(const std::string& text, const Overrides& overrides = {}) {
  return parse_config(text, "config.toml", overrides);
}

// The message of the ConfigError that a file, and overrides, must give.
std::string error_of(const std::string& text, const Overrides& overrides = {}) {
  try {
    parse(text, overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

std::string override_error(const std::string& override) { return error_of("", {override}); }

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::string kNoError = "no error";

}  // namespace

TEST_CASE("config: an empty file gives the authors' copy task") {
  const Config c = parse("");
  CHECK(c == Config{});
  CHECK(c.task.kind == "copy");
  CHECK(c.task.sequence_length == 128);
  CHECK(c.task.symbols == 10);
  CHECK(c.model.attention == "causal-linear");
  CHECK(c.model.feature_map == "elu+1");
  CHECK(c.model.layers == 4);
  CHECK(c.model.heads == 8);
  CHECK(c.model.head_dim == 32);
  CHECK(c.model.activation == "relu");
  CHECK(c.model.dropout == 0.1);
  CHECK(c.optimizer.kind == "radam");
  CHECK(c.optimizer.lr == 1e-3);
  CHECK(c.optimizer.weight_decay == 0.01);
  CHECK(c.optimizer.max_grad_norm == 1.0);
  CHECK(c.optimizer.clip == "tensor");
  CHECK(c.schedule.kind == "step");
  CHECK(c.schedule.milestones == std::vector<std::int64_t>{3000});
  CHECK(c.schedule.factor == 0.1);
  CHECK(c.schedule.plateau_factor == 0.5);
  CHECK(c.train.batch_size == 64);
  CHECK(c.train.steps == 10000);
  CHECK(c.train.eval_every == 100);
  CHECK(c.train.eval_batches == 20);
}

TEST_CASE("config: keys are read, and an integer stands for a number") {
  const Config c = parse(
      "[run]\nname = 'lin\"ear'\nseed = 0x10\n[optimizer]\nlr = 1\n"
      "[schedule]\nmilestones = [10,\n 20, # and\n 30]\n");
  CHECK(c.run.name == "lin\"ear");
  CHECK(c.run.seed == 16);
  CHECK(c.optimizer.lr == 1.0);
  CHECK(c.schedule.milestones == std::vector<std::int64_t>{10, 20, 30});
  CHECK(parse("optimizer.lr = 0.5\nmodel = {heads = 2}\n").model.heads == 2);
  CHECK(parse("[schedule]\nmilestones = []").schedule.milestones.empty());
  CHECK_FALSE(parse("[model]\nlsh_masked = false").model.lsh_masked);
  CHECK_FALSE(parse("", {"model.lsh_masked=false"}).model.lsh_masked);
}

TEST_CASE("config: what to_toml writes is read back equal") {
  CHECK(parse(to_toml(Config{})) == Config{});

  Config c;
  c.run = {"a \"b\" \\ \n\t\x01\x7f \xc3\xa9", 9223372036854775807u, "cuda:1", 1024, true, 7};
  c.task = {"speech", 5, 1, "a/b c", 7, 3};
  c.model = {"full",    "relu",        1, 2, 7,  9,     "gelu",   0.0,
             0.1 + 0.2, "categorical", 7, 8, 29, false, "bilstm", 6};
  c.optimizer = {"sgd", 1.5e-38, 1e38, 0.0, "global", 1.0 / 3, 0.0, 1e-20, 0.99};
  c.schedule = {"cosine", {1, 2, 9223372036854775807}, 1.0, 7, 1.0, 0.25, 9};
  c.train = {1, 10, 12, 9223372036854775807, 2, 3, 4, 5, true, 6, 8};
  const std::string text = to_toml(c);
  CHECK(parse(text) == c);
  CHECK(to_toml(parse(text)) == text);
}

TEST_CASE("config: to_toml writes each key in the order of the structs") {
  const std::string text = to_toml(Config{});
  CHECK(
      text.starts_with("[run]\nname = \"run\"\nseed = 1\ndevice = \"cpu\"\nthreads = "
                       "0\ntensorboard = false\ntimeout = 60\n\n[task]\n"));
  CHECK(contains(text,
                 "\nlr = 0.001\nweight_decay = 0.01\nmax_grad_norm = 1.0\nclip = \"tensor\"\n"));
  CHECK(contains(text, "\nmilestones = [3000]\n"));
  std::size_t from = 0;
  for (const KeyDoc& doc : key_docs()) {
    const std::size_t place = text.find("\n" + doc.key + " = " + doc.default_value + "\n", from);
    CAPTURE(doc.key);
    REQUIRE(place != std::string::npos);
    from = place + 1;
  }
}

TEST_CASE("config: unknown key names the line and the nearest key") {
  CHECK(error_of("# one\n\n[optimizer]\nlr = 1e-4\nweight_deacy = 0.1\n") ==
        "config.toml:5: optimizer.weight_deacy is not a known key; did you mean "
        "optimizer.weight_decay?");
  CHECK(error_of("[model]\nlr = 1e-4\n") ==
        "config.toml:2: model.lr is not a known key; did you mean optimizer.lr?");
  CHECK(error_of("steps = 5\n") ==
        "config.toml:1: steps is not a known key; did you mean train.steps?");
  CHECK(error_of("[task]\nvocabulary = 5\n") ==
        "config.toml:2: task.vocabulary is not a known key; [task] has kind, sequence_length, "
        "symbols, data, mixtures, validation");
  CHECK(contains(error_of("vocabulary = 5\n"),
                 "config.toml:1: vocabulary is not a known key; the "
                 "sections are run, task, speech, model"));
  CHECK(contains(error_of("[run]\n\"\" = 1"), "config.toml:2: run. is not a known key; [run] has"));
}

TEST_CASE("config: unknown section names the line and the nearest section") {
  CHECK(error_of("[run]\n[optimiser]\nlr = 1\n") ==
        "config.toml:2: [optimiser] is not a known section; did you mean [optimizer]?");
  CHECK(error_of("\n[network]\n") ==
        "config.toml:2: [network] is not a known section; the sections are run, task, speech, "
        "model, optimizer, schedule, train");
  CHECK(error_of("model = 3\n") ==
        "config.toml:1: model must be a section, [model], got the integer 3");
  CHECK(error_of("[[model]]\n") ==
        "config.toml:1: model must be a section, [model], got a list that holds a table");
}

TEST_CASE("config: the first mistake of the file is the one reported") {
  // By name, model comes before train and a before z.
  CHECK(
      contains(error_of("[train]\nzzzzz = 1\naaaaa = 1\n[model]\nbbbbb = 1\n"), "config.toml:2: "));
}

TEST_CASE("config: wrong type says what was expected and what was found") {
  CHECK(error_of("[train]\n\nsteps = \"abc\"") ==
        "config.toml:3: train.steps must be an integer, got the string \"abc\"");
  CHECK(error_of("[train]\nsteps = 1e4") ==
        "config.toml:2: train.steps must be an integer, got the number 10000.0");
  CHECK(error_of("[optimizer]\nlr = true") ==
        "config.toml:2: optimizer.lr must be a number, got true");
  CHECK(error_of("[model]\nlsh_masked = 1") ==
        "config.toml:2: model.lsh_masked must be a boolean, got the integer 1");
  CHECK(error_of("[model]\nattention = 3") ==
        "config.toml:2: model.attention must be a string, got the integer 3");
  CHECK(error_of("[model]\nheads = 2024-01-01") ==
        "config.toml:2: model.heads must be an integer, got a date or time");
  CHECK(error_of("[run]\nseed = -1") ==
        "config.toml:2: run.seed must be a non-negative integer, got the integer -1");
  CHECK(error_of("[optimizer.lr]\nx = 1") ==
        "config.toml:1: optimizer.lr must be a number, got a table");
  CHECK(error_of("[optimizer]\nlr = [1]") ==
        "config.toml:2: optimizer.lr must be a number, got a list");
  CHECK(error_of("[schedule]\nmilestones = 3000") ==
        "config.toml:2: schedule.milestones must be a list of integers, got the integer 3000");
  CHECK(error_of("[schedule]\nmilestones = [1, 2.5]") ==
        "config.toml:2: schedule.milestones must be a list of integers, got a list that holds the "
        "number 2.5");
}

TEST_CASE("config: out of range says what may be") {
  CHECK(error_of("[model]\nheads = 2\ndropout = 1.5") ==
        "config.toml:3: model.dropout is 1.5; it must be in [0, 1)");
  CHECK(error_of("[train]\nlog_every = 0") ==
        "config.toml:2: train.log_every is 0; it must be at least 1");
  CHECK(error_of("[optimizer]\nlr = 0") ==
        "config.toml:2: optimizer.lr is 0.0; it must be above 0");
  CHECK(error_of("[optimizer]\nlr = nan") ==
        "config.toml:2: optimizer.lr is nan; it must be finite");
  CHECK(error_of("[optimizer]\nweight_decay = inf") ==
        "config.toml:2: optimizer.weight_decay is inf; it must be finite");
  CHECK(error_of("[run]\nname = \"\"") == "config.toml:2: run.name is \"\"; it must be non-empty");
  CHECK(error_of("[schedule]\nmilestones = [0, 5]") ==
        "config.toml:2: schedule.milestones is [0, 5]; each entry must be at least 1");
  CHECK(error_of("[optimizer]\nkind = \"lion\"") ==
        "config.toml:2: optimizer.kind is \"lion\"; it must be one of sgd, adam, adamw, radam, "
        "radam-standard");
  // Only whole choices count.
  CHECK(contains(error_of("[model]\nattention = \"full, linear\""), "it must be one of full,"));
  CHECK(contains(error_of("[model]\nattention = \"\""), "it must be one of full,"));
}

TEST_CASE("config: ranges at their edges") {
  for (const char* good :
       {"model.dropout=0", "model.dropout=0.999", "optimizer.lr=1.2e-38", "optimizer.beta1=0",
        "optimizer.max_grad_norm=0", "schedule.factor=1", "schedule.min_factor=0",
        "schedule.min_factor=1", "train.steps=0", "run.threads=0", "run.threads=1024", "run.seed=0",
        "run.seed=9223372036854775807", "task.sequence_length=5", "task.sequence_length=1048576",
        "schedule.milestones=[1]", "model.feed_forward=0", "schedule.patience=0"}) {
    CAPTURE(good);
    CHECK(override_error(good) == kNoError);
  }
  for (const char* bad :
       {"model.dropout=1", "model.dropout=-1e-9", "optimizer.lr=0.0", "optimizer.lr=-1",
        "optimizer.beta1=1", "optimizer.eps=0", "optimizer.max_grad_norm=-0.1", "schedule.factor=0",
        "schedule.factor=1.01", "schedule.min_factor=-0.1", "schedule.min_factor=1.1",
        "train.steps=-1", "run.threads=-1", "run.threads=1025", "task.sequence_length=1048577",
        "schedule.milestones=[0]", "model.feed_forward=-1", "schedule.patience=-1"}) {
    CAPTURE(bad);
    CHECK(contains(override_error(bad), "must be "));
  }
}

TEST_CASE("config: a syntax error names the line and what TOML says") {
  const std::string text = error_of("[run]\nname = \"a\"\nseed =\n");
  CHECK(text.starts_with("config.toml:3: "));
  CHECK(text.size() > std::string("config.toml:3: ").size());
  CHECK(error_of("[run]\nseed = 1\nseed = 2\n").starts_with("config.toml:3: "));
  CHECK(error_of("[run]\n[task]\n[run]\n").starts_with("config.toml:3: "));
  CHECK(error_of("[run]\nname = \"\xff\"\n").starts_with("config.toml:2: "));
  // Text that toml++ 3.3 by itself asserts, or holds, to be impossible.
  CHECK(error_of("\n[$run]\n").starts_with("config.toml:2: "));
  CHECK(error_of("\n\n[[[run]]]\n").starts_with("config.toml:3: "));
  CHECK(error_of("[run]\n\xc3\xa9 = 1\n").starts_with("config.toml:2: "));
  CHECK(error_of("[run]\nseed = 1 \xcc\x98\n").starts_with("config.toml:2: "));
}

TEST_CASE("config: a key of dots does not overflow the stack") {
  std::string key = "a";
  for (int i = 0; i < 2000; ++i) key += ".a";
  CHECK(error_of(key + " = 1").starts_with("config.toml:1: [a] is not a known section"));
  CHECK(error_of(key + ".a = 1") == "config.toml: has more than 2000 dots");
  CHECK(override_error(key + ".a=1") == "--set: has more than 2000 dots");
}

TEST_CASE("config: overrides come after the file, the later after the earlier") {
  const std::string text = "[optimizer]\nlr = 0.5\n";
  const Config c = parse(text, {"optimizer.lr=0.25", "train.steps = 7", "optimizer.lr=1e-4",
                                "schedule.milestones=[1, 2]"});
  CHECK(c.optimizer.lr == 1e-4);
  CHECK(c.train.steps == 7);
  CHECK(c.schedule.milestones == std::vector<std::int64_t>{1, 2});
  // An override can mend a value that the file has wrong.
  CHECK(parse("[model]\ndropout = 2\n", {"model.dropout=0"}).model.dropout == 0);
}

TEST_CASE("config: an override's string needs no quotes") {
  CHECK(parse("", {"model.attention=full"}).model.attention == "full");
  CHECK(parse("", {"model.attention=\"full\""}).model.attention == "full");
  CHECK(parse("", {"model.feature_map='elu+1'"}).model.feature_map == "elu+1");
  CHECK(parse("", {"run.name=2024"}).run.name == "2024");
  CHECK(parse("", {"run.name=true"}).run.name == "true");
  CHECK(parse("", {"run.name= a=b \"c\" "}).run.name == "a=b \"c\"");
  CHECK(parse("", {"run.device=cuda:0"}).run.device == "cuda:0");
}

TEST_CASE("config: a wrong override is named in full") {
  CHECK(override_error("optimizer.lrr=1") ==
        "--set optimizer.lrr=1: optimizer.lrr is not a known key; did you mean optimizer.lr?");
  CHECK(override_error("optimizer.lr") ==
        "--set optimizer.lr: must have the form section.key=value");
  CHECK(override_error("optimizer.lr=fast") ==
        "--set optimizer.lr=fast: optimizer.lr must be a number, got the text \"fast\"");
  CHECK(override_error("optimizer.lr=") ==
        "--set optimizer.lr=: optimizer.lr must be a number, got the text \"\"");
  CHECK(override_error("train.steps=1.5") ==
        "--set train.steps=1.5: train.steps must be an integer, got the number 1.5");
  CHECK(override_error("train.steps=1\nother=2") ==
        "--set train.steps=1\nother=2: train.steps must be an integer, got the text "
        "\"1\\nother=2\"");
  CHECK(override_error("model.dropout=1.5") ==
        "--set model.dropout=1.5: model.dropout is 1.5; it must be in [0, 1)");
  CHECK(override_error("run.name=") == "--set run.name=: run.name is \"\"; it must be non-empty");
  CHECK(contains(override_error("run.name=\xff"), "run.name must be a string, got the text"));
  CHECK(contains(override_error("=1"), "--set =1:  is not a known key"));
}

TEST_CASE("config: contradictions name the key that was set") {
  CHECK(error_of("[task]\nsequence_length = 4\n") ==
        "config.toml:2: task.sequence_length is 4, too short for the copy task, which needs at "
        "least 5");
  CHECK(error_of("[model]\nattention = \"linear\"\n") ==
        "config.toml:2: model.attention is \"linear\", which sees the symbols that the copy task "
        "asks for; use causal-linear, full or lsh");
  CHECK(error_of("[task]\nkind = \"images\"\n[model]\nattention = \"linear\"\n") ==
        "config.toml:4: model.attention is \"linear\", which sees the values that the images task "
        "asks for; use causal-linear, full or lsh");
  CHECK(error_of("[task]\nkind = \"images\"\nsequence_length = 1\n") == kNoError);
  CHECK(error_of("[model]\nheads = 3\nhead_dim = 5\n") ==
        "config.toml:3: model.heads * model.head_dim is 15; it must be even: half is the token's "
        "embedding, half the position");
  CHECK(
      error_of("[model]\nhead_dim = 5\n", {"model.heads=1"}).starts_with("--set model.heads=1: "));
  CHECK(error_of("[schedule]\nmilestones = [5, 5]\n") ==
        "config.toml:2: schedule.milestones is [5, 5]; each entry must be greater than the one "
        "before");
  CHECK(
      error_of("[schedule]\nwarmup_steps = 10\n") ==
      "config.toml:2: schedule.warmup_steps is 10, but schedule.kind is \"step\"; only cosine has "
      "a warm-up");
  // An override that contradicts the file is the one to look at.
  CHECK(error_of("[schedule]\nkind = \"cosine\"\nwarmup_steps = 10\n", {"train.steps=9"}) ==
        "--set train.steps=9: schedule.warmup_steps is 10, but train.steps is only 9");
  CHECK(error_of("", {"schedule.kind=plateau", "train.steps=50"}) ==
        "--set train.steps=50: schedule.kind is \"plateau\", which needs evaluations, but "
        "train.eval_every is 100 and train.steps only 50");
  CHECK(error_of("", {"schedule.kind=cosine", "schedule.warmup_steps=9", "train.steps=9"}) ==
        kNoError);
  CHECK(error_of("", {"schedule.kind=cosine", "schedule.warmup_steps=9", "train.steps=0"}) ==
        kNoError);
  CHECK(error_of("", {"model.heads=3", "model.head_dim=4"}) == kNoError);
}

TEST_CASE("config: validate checks a config made in code") {
  Config c;
  CHECK_NOTHROW(validate(c));
  c.optimizer.lr = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(validate(c), "optimizer.lr is nan; it must be finite", ConfigError);
  c = Config{};
  c.run.seed = 9223372036854775808u;
  CHECK_THROWS_WITH_AS(validate(c), "run.seed is 9223372036854775808; it must be below 2^63",
                       ConfigError);
  c = Config{};
  c.model.attention = "linear";
  CHECK_THROWS_AS(validate(c), ConfigError);
}

TEST_CASE("config: load_config reads a file, and names one that it cannot") {
  std::string pattern = (std::filesystem::temp_directory_path() / "tarn_config_XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  const std::filesystem::path folder = pattern;
  const std::filesystem::path file = folder / "config.toml";
  write_file_atomically(file, "[train]\nsteps = 3\n");

  CHECK(load_config(file).train.steps == 3);
  CHECK(load_config(file, {"train.steps=4"}).train.steps == 4);
  CHECK_THROWS_WITH_AS(load_config(file, {"schedule.kind=cosine", "schedule.warmup_steps=5"}),
                       "--set schedule.warmup_steps=5: schedule.warmup_steps is 5, but train.steps "
                       "is only 3",
                       ConfigError);
  const std::string missing = (folder / "none.toml").string();
  CHECK_THROWS_WITH_AS(load_config(missing),
                       ("cannot open " + missing + ": No such file or directory").c_str(), IoError);
  CHECK_THROWS_WITH_AS(load_config(folder),
                       ("cannot read " + folder.string() + ": Is a directory").c_str(), IoError);
  std::filesystem::remove_all(folder);
}

TEST_CASE("config: every key is documented, and its documented default is the default") {
  REQUIRE(key_docs().size() == 80);
  for (const KeyDoc& doc : key_docs()) {
    CAPTURE(doc.section);
    CAPTURE(doc.key);
    CHECK_FALSE(doc.type.empty());
    CHECK_FALSE(doc.range.empty());
    CHECK_FALSE(doc.meaning.empty());
    CHECK(parse("[" + doc.section + "]\n" + doc.key + " = " + doc.default_value) == Config{});
    CHECK(contains(key_docs_markdown(), "\n| `" + doc.key + "` | " + doc.type + " | "));
    CHECK(contains(describe_key(""), "  " + doc.key + " "));
  }
}

TEST_CASE("config: docs/config.md is what the table of keys says") {
  // After a change of the table: tarn config --markdown > docs/config.md
  CHECK(read_file(test::source_dir() / "docs/config.md") == key_docs_markdown());
}

TEST_CASE("config: describe_key") {
  CHECK(describe_key("optimizer.lr") ==
        "optimizer.lr\n  learning rate, before the schedule\n  type     number\n"
        "  range    above 0\n  default  0.001\n");
  CHECK(describe_key("task").starts_with("[task]  what is learnt\n  kind "));
  CHECK_FALSE(contains(describe_key("task"), "[model]"));
  CHECK(contains(describe_key(""), "\n\n[model]  the transformer\n  attention "));
  CHECK_THROWS_WITH_AS(describe_key("model.drpout"),
                       "model.drpout is not a known key; did you mean model.dropout?", ConfigError);
  CHECK_THROWS_WITH_AS(describe_key("lr"), "lr is not a known key; did you mean optimizer.lr?",
                       ConfigError);
}

}  // namespace tarn::train
