// What a file is that is not what was expected, for messages.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tarn {

// So many bytes of a file's beginning are enough to tell.
inline constexpr std::size_t kFileKindBytes = 512;

// What a file is that begins so, with what to do where that is known: "a git LFS pointer, which
// stands for the file; git lfs pull fetches it". Text is quoted. Empty if nothing is known.
std::string file_kind(std::string_view beginning);

}  // namespace tarn
