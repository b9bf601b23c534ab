// CIFAR-10's binary files: records of a label and a 32x32 image, with nothing around them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "data/images.h"

namespace tarn::data {

// Any number of records. A record's image is its reds, its greens and its blues, each row by row;
// in the set the three values of a pixel stand together. Throws IoError, which begins with `source`
// (the file): it is empty, its size is not a multiple of a record's, or a label is above 9.
ImageSet parse_cifar(std::string_view bytes, const std::string& source);
ImageSet read_cifar(const std::filesystem::path& file);

}  // namespace tarn::data
