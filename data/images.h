// Sets of small images in memory, and the folders of files that they come from. Nothing is ever
// downloaded: experiments/README.md says where people get the files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::data {

struct ImageShape {
  std::int64_t height = 0, width = 0, channels = 0;

  std::int64_t values() const { return height * width * channels; }
  std::string str() const;  // "28x28", "32x32x3"
  bool operator==(const ImageShape&) const = default;
};

// What str() writes; nothing for other text.
std::optional<ImageShape> parse_image_shape(std::string_view text);

struct ImageSet {
  ImageShape shape;
  std::int64_t count = 0;
  std::vector<std::uint8_t> pixels;  // count x values: row by row, a pixel's channels together
  std::vector<std::uint8_t> labels;  // count; empty if there are none

  std::span<const std::uint8_t> image(std::int64_t index) const;
};

struct ImageFile {
  std::filesystem::path path;
  std::string content;  // "60000 images of 28x28", "60000 labels"
};

// A folder with a training set and a test set of one shape.
struct ImageFolder {
  std::string kind;  // "IDX files, named as MNIST's"
  ImageSet train, test;
  std::vector<ImageFile> files;      // in the order that they were read in
  std::vector<std::string> classes;  // names of the labels, from 0; empty if unknown
};

// Whether the names in the folder are those that open_image_folder reads. Throws IoError if there
// is no such folder.
bool is_image_folder(const std::filesystem::path& folder);

// Reads all of a folder of either kind:
//   MNIST's names: {train,t10k}-images-idx{3,4}-ubyte and, if there are labels,
//     {train,t10k}-labels-idx1-ubyte, each also as .gz (the plain file is read if both are there);
//   CIFAR-10's: any number of data_batch_<number>.bin, in the order of the numbers, test_batch.bin
//     and, for the names of the classes, batches.meta.txt.
// Throws IoError that names the file and what is wrong: one that is missing or damaged, no images,
// labels and images that differ in number, training and test images that differ in shape.
ImageFolder open_image_folder(const std::filesystem::path& folder);

// Moves the last `count` images of a set into a set of their own: validation images are the tail of
// the training set. Throws ConfigError, which names task.validation, if none would be left.
ImageSet take_tail(ImageSet& images, std::int64_t count);

// "60000 of 28x28, CRC-32 123": of the pixels, to tell sets apart.
std::string checksum_of(const ImageSet& images);

}  // namespace tarn::data
