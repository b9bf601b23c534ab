#include "core/io/json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "core/check.h"
#include "core/io/file.h"

namespace tarn {
namespace {

using nlohmann::json;

// Some of the library's functions on values recurse, so that a hostile depth would end the stack.
constexpr int kMaxDepth = 64;

// Follows the parser to find what it would accept in silence: of a key given twice it keeps the
// last.
class Strictness {
 public:
  explicit Strictness(const std::string& source) : source_(source) {}

  bool operator()(int depth, json::parse_event_t event, const json& value) {
    using Event = json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      TARN_CHECK_AS(IoError, depth < kMaxDepth, source_, ": nested deeper than ", kMaxDepth);
    }
    if (event == Event::object_start) {
      keys_.emplace_back();
    } else if (event == Event::object_end) {
      keys_.pop_back();
    } else if (event == Event::key) {
      const auto& key = value.get_ref<const std::string&>();
      TARN_CHECK_AS(IoError, keys_.back().insert(key).second, source_, ": the key \"", key,
                    "\" appears twice");
    }
    return true;
  }

 private:
  const std::string& source_;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

// "[json.exception.parse_error.101] parse error ..." without what only the library's authors need.
std::string_view without_tag(std::string_view text) {
  const std::size_t end = text.find("] ");
  return text.starts_with('[') && end != text.npos ? text.substr(end + 2) : text;
}

}  // namespace

json parse_json(std::string_view text, const std::string& source) {
  Strictness strictness(source);
  const auto callback = [&](int depth, json::parse_event_t event, json& value) {
    return strictness(depth, event, value);
  };
  try {
    return json::parse(text, callback);
  } catch (const json::parse_error& error) {
    fail<IoError>(source, ": not JSON at byte ", error.byte, ": ", without_tag(error.what()));
  } catch (const json::exception& error) {  // a number out of range
    fail<IoError>(source, ": not JSON: ", without_tag(error.what()));
  }
}

json read_json(const std::filesystem::path& file) {
  return parse_json(read_file(file), file.string());
}

}  // namespace tarn
