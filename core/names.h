// Lists of names for messages, and what a misspelt name may have meant.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tarn {

// Insertions, deletions and replacements of a character, and swaps of two neighbours, that make b
// of a. Names of more than 64 characters count as far from everything.
std::size_t edit_distance(std::string_view a, std::string_view b);

// Whether so many edits are a misspelling of the name: up to a third of it, and one always.
bool is_misspelling(std::size_t distance, std::string_view name);

// The nearest of the names that the text may be a misspelling of; empty if there is none.
std::string nearest_name(std::string_view text, std::span<const std::string> names);

// "a, b, c".
std::string joined(std::span<const std::string> names, std::string_view separator = ", ");

// The words between spaces.
std::vector<std::string> words_of(const std::string& text);

}  // namespace tarn
