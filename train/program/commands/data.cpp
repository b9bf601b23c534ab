// `tarn data`: a plain function for each kind of folder.
#include <array>
#include <cstdio>
#include <optional>

#include "core/check.h"
#include "core/io/file.h"
#include "data/checksum.h"
#include "data/drawn_images.h"
#include "data/gzip.h"
#include "data/images.h"
#include "train/program/commands.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

constexpr int kLabels = 256;

std::array<long long, kLabels> count_labels(const data::ImageSet& set) {
  std::array<long long, kLabels> counts{};
  for (const std::uint8_t label : set.labels) ++counts[label];
  return counts;
}

void print_labels(const data::ImageFolder& images) {
  if (images.train.labels.empty() && images.test.labels.empty()) {
    std::printf("no labels\n");
    return;
  }
  const auto train = count_labels(images.train), test = count_labels(images.test);
  std::printf("label     train      test\n");
  for (std::size_t i = 0; i < kLabels; ++i) {
    if (train[i] == 0 && test[i] == 0) continue;
    std::printf("%5zu %9lld %9lld%s%s\n", i, train[i], test[i],
                i < images.classes.size() ? "  " : "",
                i < images.classes.size() ? images.classes[i].c_str() : "");
  }
}

// How the counts compare with those of the data set whose files have these names and this shape.
std::string counts_text(const data::ImageFolder& images) {
  struct Known {
    const char* name;
    data::ImageShape shape;
    std::int64_t train, test;
  };
  constexpr Known kKnown[] = {{"MNIST", {28, 28, 1}, 60000, 10000},
                              {"CIFAR-10", {32, 32, 3}, 50000, 10000}};
  for (const Known& known : kKnown) {
    if (known.shape != images.train.shape) continue;
    if (known.train == images.train.count && known.test == images.test.count) {
      return message("as many as ", known.name, " has");
    }
    return message("not as many as ", known.name, " has: ", known.train, " training and ",
                   known.test, " test images");
  }
  return "of a shape that neither MNIST nor CIFAR-10 has";
}

// What a file holds when it is not compressed.
std::string content_of(const std::string& bytes, const fs::path& file) {
  if (!data::is_gzip(bytes)) return bytes;
  return data::gunzip(bytes, data::most_gunzipped(bytes) + 1, file.string());
}

void describe_images(const fs::path& folder) {
  const data::ImageFolder images = data::open_image_folder(folder);
  std::printf("%s: %s\n", folder.c_str(), images.kind.c_str());
  std::printf("%lld training and %lld test images of %s: %lld values each\n\n",
              static_cast<long long>(images.train.count), static_cast<long long>(images.test.count),
              images.train.shape.str().c_str(),
              static_cast<long long>(images.train.shape.values()));
  std::printf("%s\n\n", counts_text(images).c_str());
  std::printf("   crc32  md5 of the content                    bytes  file\n");
  for (const data::ImageFile& file : images.files) {
    const std::string bytes = read_file(file.path);
    std::printf("%08x  %s %10zu  %s: %s\n", static_cast<unsigned>(crc32_of(bytes)),
                data::md5_of(content_of(bytes, file.path)).c_str(), bytes.size(),
                file.path.filename().c_str(), file.content.c_str());
  }
  std::printf("\n");
  print_labels(images);
}

void draw_images(const DataCommand& command) {
  const std::optional<data::ImageShape> given = data::parse_image_shape(command.shape);
  TARN_CHECK_AS(ConfigError, given.has_value(), "--shape ", command.shape,
                " is not HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS, as 28x28 and 32x32x3 are");
  const data::ImageShape& shape = *given;
  const std::int64_t test = (command.draw_images + 5) / 6;  // MNIST's proportion
  data::write_image_folder(command.folder,
                           data::draw_images(shape, command.draw_images, "train", command.seed),
                           data::draw_images(shape, test, "test", command.seed));
}

}  // namespace

int data_command(const DataCommand& command) {
  if (command.draw_images > 0) draw_images(command);
  if (data::is_image_folder(command.folder)) {
    describe_images(command.folder);
    return 0;
  }
  if (describe_speech(command)) return 0;
  fail<IoError>(command.folder.string(),
                ": holds no data that tarn reads. Images: train-images-idx3-ubyte, plain or .gz, "
                "and what belongs to it (MNIST), or data_batch_1.bin and so on (CIFAR-10). "
                "Speech: wav.scp, utt2spk and text, or folders with these");
}

}  // namespace tarn::train
