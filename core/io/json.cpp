#include "core/io/json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "core/check.h"
#include "core/io/file.h"

namespace tarn {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Some of the library's functions on values recurse, so that a hostile depth would end the stack.
constexpr int kMaxDepth = 64;

// Follows the parser to find what it would accept in silence: of a key given twice it keeps the
// last.
template <class Json>
class Strictness {
 public:
  explicit Strictness(const std::string& source) : source_(source) {}

  using Event = typename Json::parse_event_t;

  bool operator()(int depth, Event event, const Json& value) {
    if (event == Event::object_start || event == Event::array_start) {
      TARN_CHECK_AS(IoError, depth < kMaxDepth, source_, ": nested deeper than ", kMaxDepth);
    }
    if (event == Event::object_start) {
      keys_.emplace_back();
    } else if (event == Event::object_end) {
      keys_.pop_back();
    } else if (event == Event::key) {
      const auto& key = value.template get_ref<const std::string&>();
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

template <class Json>
Json parse_strictly(std::string_view text, const std::string& source) {
  Strictness<Json> strictness(source);
  const auto callback = [&](int depth, typename Json::parse_event_t event, Json& value) {
    return strictness(depth, event, value);
  };
  try {
    return Json::parse(text, callback);
  } catch (const json::parse_error& error) {
    fail<IoError>(source, ": not JSON at byte ", error.byte, ": ", without_tag(error.what()));
  } catch (const json::exception& error) {  // a number out of range
    fail<IoError>(source, ": not JSON: ", without_tag(error.what()));
  }
}

}  // namespace

json parse_json(std::string_view text, const std::string& source) {
  return parse_strictly<json>(text, source);
}

ordered_json parse_ordered_json(std::string_view text, const std::string& source) {
  return parse_strictly<ordered_json>(text, source);
}

json read_json(const std::filesystem::path& file) {
  return parse_json(read_file(file), file.string());
}

std::string json_line(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace tarn
