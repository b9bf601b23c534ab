// The keys as help on a terminal and as docs/config.md.
#include <algorithm>
#include <cstddef>

#include "core/check.h"
#include "train/config/config_keys.h"

namespace tarn::train {
namespace {

std::vector<KeyDoc> make_docs() {
  Config defaults;
  std::vector<KeyDoc> docs;
  for (const Key& key : keys()) {
    const Field field = key.field(defaults);
    const std::string_view type = type_text(field);
    KeyDoc doc;
    doc.section = key.section;
    doc.key = key.name;
    doc.type = type.substr(type.find(' ') + 1);  // without its article
    doc.default_value = value_text(field);
    doc.range = limits_text(key);
    if (std::holds_alternative<std::vector<std::int64_t>*>(field)) {
      doc.range = message("each ", doc.range);
    }
    doc.meaning = key.meaning;
    docs.push_back(std::move(doc));
  }
  return docs;
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

// One width for all sections, so that the columns run through the whole listing. Long ranges, which
// are lists of choices, get a line of their own.
constexpr std::size_t kRangeWidth = 16;

struct Widths {
  std::size_t key = 0;
  std::size_t default_value = 0;
};

Widths column_widths() {
  Widths widths;
  for (const KeyDoc& doc : key_docs()) {
    widths.key = std::max(widths.key, doc.key.size());
    widths.default_value = std::max(widths.default_value, doc.default_value.size());
  }
  return widths;
}

std::string section_listing(const Section& section) {
  const Widths widths = column_widths();
  std::string text = message("[", section.name, "]  ", section.meaning, "\n");
  for (const KeyDoc& doc : key_docs()) {
    if (doc.section != section.name) continue;
    const bool fits = doc.range.size() <= kRangeWidth;
    const std::string line = message("  ", padded(doc.key, widths.key), "  ",
                                     padded(doc.default_value, widths.default_value), "  ",
                                     padded(fits ? doc.range : "", kRangeWidth), "  ");
    text += message(line, doc.meaning, "\n");
    if (!fits) text += message(std::string(line.size(), ' '), doc.range, "\n");
  }
  return text;
}

std::string key_text(const KeyDoc& doc) {
  return message(doc.section, ".", doc.key, "\n  ", doc.meaning, "\n  type     ", doc.type,
                 "\n  range    ", doc.range, "\n  default  ", doc.default_value, "\n");
}

constexpr std::string_view kIntroduction = R"(# Configuration

A run is described by one TOML file. Every key has a default, and the defaults together are the copy
task as the authors of the linear transformer train it, so a file holds only what differs:

```toml
[run]
name = "copy-softmax"

[model]
attention = "full"

[schedule]
kind = "cosine"
warmup_steps = 500
```

`--set section.key=value`, given as often as needed, changes a key for one run. It comes after the
file, and a later one after an earlier:

```
tarn train config.toml --set optimizer.lr=3e-4 --set schedule.milestones=[3000,6000]
```

The value is written as in TOML; the quotes of a string may be left out.

Nothing is guessed or ignored. An unknown key, a value of the wrong type or out of its range, and
values that contradict each other stop the program before it starts, with the file, the line and the
key:

```
config.toml:14: optimizer.weight_deacy is not a known key; did you mean optimizer.weight_decay?
```

A number may be written as an integer; an integer may not be written as 1.0 or 1e4.

`tarn config` lists the keys, `tarn config optimizer.lr` describes one of them, and
`tarn config --markdown` prints this page.
)";

}  // namespace

const std::vector<KeyDoc>& key_docs() {
  static const std::vector<KeyDoc> docs = make_docs();
  return docs;
}

std::string describe_key(const std::string& name) {
  std::string text;
  for (const Section& section : sections()) {
    if (!name.empty() && name != section.name) continue;
    if (!text.empty()) text += "\n";
    text += section_listing(section);
  }
  for (const KeyDoc& doc : key_docs()) {
    if (name == doc.section + "." + doc.key) text = key_text(doc);
  }
  TARN_CHECK_AS(ConfigError, !text.empty(), unknown_key_text(name));
  return text;
}

std::string key_docs_markdown() {
  std::string text(kIntroduction);
  for (const Section& section : sections()) {
    text +=
        message("\n## `[", section.name, "]`: ", section.meaning, "\n\n",
                "| key | type | default | range | meaning |\n| --- | --- | --- | --- | --- |\n");
    for (const KeyDoc& doc : key_docs()) {
      if (doc.section != section.name) continue;
      text += message("| `", doc.key, "` | ", doc.type, " | `", doc.default_value, "` | ",
                      doc.range, " | ", doc.meaning, " |\n");
    }
  }
  return text;
}

}  // namespace tarn::train
