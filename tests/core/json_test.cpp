#include "core/io/json.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "core/check.h"
#include "core/io/file.h"
#include "tests/support/temp_dir.h"

namespace tarn {
namespace {

TEST_CASE("json: a text becomes a value") {
  const nlohmann::json value = parse_json(R"({"step": 12, "loss": [0.5, null], "ok": true})", "x");
  CHECK(value.at("step") == 12);
  CHECK(value.at("loss").at(0) == 0.5);
  CHECK(value.at("loss").at(1).is_null());
  CHECK(value.at("ok") == true);
}

TEST_CASE("json: what is not JSON is an error that names the source and the byte") {
  CHECK_THROWS_WITH_AS(parse_json(R"({"a": 1,})", "state.json"),
                       doctest::Contains("state.json: not JSON at byte 9: "), IoError);
  CHECK_THROWS_WITH_AS(parse_json("", "state.json"),
                       doctest::Contains("state.json: not JSON at byte 1: "), IoError);
  for (const char* text :
       {"{", "[1", "nul", "1 2", "{\"a\" 1}", "\"\xff\"", "'a'", "NaN", "// c"}) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS(parse_json(text, "state.json"), doctest::Contains("state.json: not JSON"),
                         IoError);
  }
}

TEST_CASE("json: every beginning of a text is an error and never a crash") {
  const std::string text = R"({"a": [1, -2.5e3, {"b": "c\u00e9\n"}], "d": false})";
  for (std::size_t length = 0; length < text.size(); ++length) {
    CHECK_THROWS_AS(parse_json(text.substr(0, length), "x"), IoError);
  }
  CHECK_NOTHROW(parse_json(text, "x"));
}

TEST_CASE("json: a number that no double holds is an error") {
  CHECK_THROWS_WITH_AS(parse_json("[1e999]", "state.json"), doctest::Contains("state.json: "),
                       IoError);
}

TEST_CASE("json: a key given twice is an error that names it") {
  CHECK_THROWS_WITH_AS(parse_json(R"({"a": 1, "b": {"c": 1, "c": 2}})", "state.json"),
                       "state.json: the key \"c\" appears twice", IoError);
  CHECK_NOTHROW(parse_json(R"([{"a": 1}, {"a": 2, "b": {"a": 3}}])", "x"));
}

TEST_CASE("json: hostile nesting is an error and not the end of the stack") {
  CHECK_NOTHROW(parse_json(std::string(64, '[') + std::string(64, ']'), "x"));
  CHECK_THROWS_WITH_AS(parse_json(std::string(1000000, '['), "state.json"),
                       "state.json: nested deeper than 64", IoError);
}

TEST_CASE("json: a file is read and named") {
  const test::TempDir dir;
  write_file_atomically(dir / "state.json", R"({"step": 3})");
  CHECK(read_json(dir / "state.json").at("step") == 3);
  write_file_atomically(dir / "bad.json", "{");
  CHECK_THROWS_WITH_AS(read_json(dir / "bad.json"), doctest::Contains("bad.json: not JSON"),
                       IoError);
  CHECK_THROWS_WITH_AS(read_json(dir / "none.json"), doctest::Contains("none.json"), IoError);
}

}  // namespace
}  // namespace tarn
