#include "core/io/file_kind.h"

#include <algorithm>
#include <array>

#include "core/check.h"

namespace tarn {
namespace {

using namespace std::string_view_literals;

struct Kind {
  std::string_view beginning;
  std::string_view name;
};

constexpr auto kPickle =
    "a Python pickle, as torch.save writes; write the weights with safetensors.torch.save_file"sv;
constexpr std::array kKinds = {
    Kind{"version https://git-lfs.github.com/spec/",
         "a git LFS pointer, which stands for the file; git lfs pull fetches it"},
    Kind{"PK\3\4",
         "a zip archive, which is what torch.save writes (.pt, .pth, .bin); write the "
         "weights with safetensors.torch.save_file"},
    Kind{"\x80\2", kPickle},
    Kind{"\x80\3", kPickle},
    Kind{"\x80\4", kPickle},
    Kind{"\x80\5", kPickle},
    Kind{"\x1f\x8b", "compressed by gzip; expand it first"},
    Kind{"BZh", "compressed by bzip2; expand it first"},
    Kind{"\xfd"
         "7zXZ",
         "compressed by xz; expand it first"},
    Kind{"\x28\xb5\x2f\xfd", "compressed by zstd; expand it first"},
    Kind{"\x89HDF", "an HDF5 file"},
    Kind{"\x93NUMPY", "a NumPy array"},
    Kind{"GGUF", "a GGUF file"}};

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

bool is_text(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 ? byte != 0x7f : c == '\n' || c == '\r' || c == '\t';
  });
}

// From the first letter on: without a byte order mark and white space.
std::string_view without_margin(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  return text;
}

// The first line, or as much of it as a message has room for. ASCII alone, so that no letter is
// cut in two.
std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 40;
  const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
  std::string shown(line.substr(0, kShown));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < ' '; }, '?');
  return message("\"", shown, line.size() > kShown ? "..." : "", "\"");
}

}  // namespace

std::string file_kind(std::string_view beginning) {
  if (beginning.empty()) return "empty";
  for (const Kind& kind : kKinds) {
    if (beginning.starts_with(kind.beginning)) return std::string(kind.name);
  }
  if (!is_text(beginning)) return "";
  const std::string_view text = without_margin(beginning);
  const std::string folded = lower_case(text);
  for (const std::string_view tag : {"<!doctype html"sv, "<html"sv, "<head"sv, "<body"sv}) {
    if (folded.starts_with(tag)) {
      return "an HTML page, perhaps what a server answered instead of the file; fetch it again";
    }
  }
  return message("text, which begins with ", quoted(text));
}

}  // namespace tarn
