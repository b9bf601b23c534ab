#include "data/images.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>
#include <system_error>

#include "core/check.h"
#include "core/io/file.h"
#include "data/cifar.h"
#include "data/idx.h"
#include "data/text.h"

namespace tarn::data {
namespace {

namespace fs = std::filesystem;

// The names of a folder's files. Throws IoError.
std::set<std::string> names_in(const fs::path& folder) {
  std::error_code error;
  std::set<std::string> names;
  for (auto entry = fs::directory_iterator(folder, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    names.insert(entry->path().filename().string());
  }
  TARN_CHECK_AS(IoError, !error, "cannot read the folder ", folder.string(), ": ", error.message());
  return names;
}

// The first of the names that the folder has, plain or as .gz; empty if it has none of them.
std::string find_idx(const std::set<std::string>& names,
                     const std::vector<std::string>& candidates) {
  for (const std::string& name : candidates) {
    for (const char* ending : {"", ".gz"}) {
      if (names.contains(name + ending)) return name + ending;
    }
  }
  return "";
}

std::string find_idx_images(const std::set<std::string>& names, const std::string& part) {
  // Some archives have a dot before "idx" for MNIST's dash.
  return find_idx(names, {part + "-images-idx3-ubyte", part + "-images-idx4-ubyte",
                          part + "-images.idx3-ubyte", part + "-images.idx4-ubyte"});
}

std::string find_idx_labels(const std::set<std::string>& names, const std::string& part) {
  return find_idx(names, {part + "-labels-idx1-ubyte", part + "-labels.idx1-ubyte"});
}

bool has_idx(const std::set<std::string>& names) {
  return !find_idx_images(names, "train").empty() || !find_idx_images(names, "t10k").empty();
}

// CIFAR-10's training files by their numbers. IoError for a file whose name has no number, or the
// number of another file.
std::map<int, std::string> cifar_batches(const std::set<std::string>& names) {
  constexpr std::string_view kStart = "data_batch_", kEnd = ".bin";
  constexpr std::size_t kMostDigits = 6;
  std::map<int, std::string> batches;
  for (const std::string& name : names) {
    if (!name.starts_with(kStart) || !name.ends_with(kEnd)) continue;
    const std::string number =
        name.substr(kStart.size(), name.size() - kStart.size() - kEnd.size());
    const bool digits = number.find_first_not_of("0123456789") == std::string::npos;
    TARN_CHECK_AS(IoError, digits && !number.empty() && number.size() <= kMostDigits, name, ": \"",
                  number,
                  "\" is no number of a batch; rename or remove the file, since "
                  "batches are read in the order of their numbers");
    const auto [other, is_new] = batches.emplace(std::stoi(number), name);
    TARN_CHECK_AS(IoError, is_new, name, " and ", other->second,
                  " have one number; only one of "
                  "them can be that batch");
  }
  return batches;
}

constexpr const char* kCifarTest = "test_batch.bin";

bool has_cifar(const std::set<std::string>& names) {
  return names.contains(kCifarTest) || !cifar_batches(names).empty();
}

std::string images_text(const ImageSet& set) {
  return message(set.count, " images of ", set.shape);
}

ImageSet read_idx_images(const fs::path& file) {
  IdxArray array = read_idx(file);
  TARN_CHECK_AS(IoError, array.sizes.size() >= 3, file.string(),
                ": has one dimension, as labels have; images have 3 or 4");
  const ImageShape shape{array.sizes[1], array.sizes[2],
                         array.sizes.size() == 4 ? array.sizes[3] : 1};
  // The first value of an image is not predicted, so an image needs two. The values are counted and
  // the sizes not multiplied: those of an empty array may be of any magnitude.
  const auto values = static_cast<std::int64_t>(array.values.size());
  TARN_CHECK_AS(IoError, values > array.sizes[0], file.string(), ": has ", array.sizes[0],
                " images of ", shape, "; expected one or more, of two values or more");
  return {shape, array.sizes[0], std::move(array.values), {}};
}

ImageSet read_idx_part(const fs::path& folder, const std::set<std::string>& names,
                       const std::string& part, std::vector<ImageFile>& files) {
  const std::string images = find_idx_images(names, part);
  TARN_CHECK_AS(IoError, !images.empty(), folder.string(), ": there is no ", part,
                "-images-idx3-ubyte, plain or .gz; training and test images are both needed");
  ImageSet set = read_idx_images(folder / images);
  files.push_back({folder / images, images_text(set)});
  const std::string labels = find_idx_labels(names, part);
  if (labels.empty()) return set;
  IdxArray array = read_idx(folder / labels);
  TARN_CHECK_AS(IoError, array.sizes.size() == 1, (folder / labels).string(), ": has ",
                array.sizes.size(), " dimensions, as images have; labels have 1");
  TARN_CHECK_AS(IoError, array.sizes[0] == set.count, (folder / labels).string(), ": has ",
                array.sizes[0], " labels, and ", images, " has ", set.count, " images");
  files.push_back({folder / labels, message(array.sizes[0], " labels")});
  set.labels = std::move(array.values);
  return set;
}

ImageFolder open_idx_folder(const fs::path& folder, const std::set<std::string>& names) {
  ImageFolder out;
  out.kind = "IDX files, named as MNIST's";
  out.train = read_idx_part(folder, names, "train", out.files);
  out.test = read_idx_part(folder, names, "t10k", out.files);
  TARN_CHECK_AS(IoError, out.train.shape == out.test.shape, folder.string(),
                ": training images of ", out.train.shape, " and test images of ", out.test.shape,
                " must be of one size");
  return out;
}

// Names, one a line, from label 0.
std::vector<std::string> read_classes(const fs::path& file) {
  const std::string content = read_file(file);
  const std::string_view text = without_byte_order_mark(content, file.string());
  std::vector<std::string> classes;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string name(text.substr(at, end - at));
    if (name.ends_with('\r')) name.pop_back();
    if (!name.empty()) classes.push_back(std::move(name));
    at = end + 1;
  }
  return classes;
}

ImageFolder open_cifar_folder(const fs::path& folder, const std::set<std::string>& names) {
  constexpr const char* kClasses = "batches.meta.txt";
  ImageFolder out;
  out.kind = "CIFAR-10's binary files";
  const std::map<int, std::string> batches = cifar_batches(names);
  TARN_CHECK_AS(IoError, !batches.empty() && names.contains(kCifarTest), folder.string(),
                ": there is no ", batches.empty() ? "data_batch_1.bin" : kCifarTest,
                "; training and test images are both needed");
  for (const auto& [number, name] : batches) {
    const ImageSet set = read_cifar(folder / name);
    out.files.push_back({folder / name, images_text(set)});
    out.train.shape = set.shape;
    out.train.count += set.count;
    out.train.pixels.insert(out.train.pixels.end(), set.pixels.begin(), set.pixels.end());
    out.train.labels.insert(out.train.labels.end(), set.labels.begin(), set.labels.end());
  }
  out.test = read_cifar(folder / kCifarTest);
  out.files.push_back({folder / kCifarTest, images_text(out.test)});
  if (names.contains(kClasses)) {
    out.classes = read_classes(folder / kClasses);
    out.files.push_back({folder / kClasses, message(out.classes.size(), " names of classes")});
  }
  return out;
}

}  // namespace

std::string ImageShape::str() const {
  return channels == 1 ? message(height, "x", width) : message(height, "x", width, "x", channels);
}

std::optional<ImageShape> parse_image_shape(std::string_view text) {
  std::array<std::int64_t, 3> sizes{0, 0, 1};
  std::size_t count = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (count < sizes.size()) {
    const auto parsed = std::from_chars(at, end, sizes[count]);
    if (parsed.ec != std::errc()) break;
    ++count;
    at = parsed.ptr;
    if (at == end || *at != 'x') break;
    ++at;
  }
  if (at != end || text.ends_with('x') || count < 2) return std::nullopt;
  return ImageShape{sizes[0], sizes[1], sizes[2]};
}

std::span<const std::uint8_t> ImageSet::image(std::int64_t index) const {
  const auto values = static_cast<std::size_t>(shape.values());
  return std::span(pixels).subspan(static_cast<std::size_t>(index) * values, values);
}

bool is_image_folder(const fs::path& folder) {
  const std::set<std::string> names = names_in(folder);
  return has_idx(names) || has_cifar(names);
}

ImageFolder open_image_folder(const fs::path& folder) {
  const std::set<std::string> names = names_in(folder);
  const bool idx = has_idx(names), cifar = has_cifar(names);
  TARN_CHECK_AS(IoError, !(idx && cifar), folder.string(),
                ": has IDX files as well as CIFAR-10's; each kind needs a folder of its own");
  TARN_CHECK_AS(IoError, idx || cifar, folder.string(),
                ": has no images that tarn reads: neither train-images-idx3-ubyte, plain or .gz, "
                "nor data_batch_1.bin");
  return idx ? open_idx_folder(folder, names) : open_cifar_folder(folder, names);
}

ImageSet take_tail(ImageSet& images, std::int64_t count) {
  TARN_CHECK_AS(ConfigError, 0 <= count && count < images.count, "task.validation ", count,
                " leaves nothing to train on: there are ", images.count, " training images");
  const std::int64_t kept = images.count - count;
  const auto pixels = images.pixels.begin() + kept * images.shape.values();
  ImageSet tail{images.shape, count, {pixels, images.pixels.end()}, {}};
  images.pixels.erase(pixels, images.pixels.end());
  if (!images.labels.empty()) {
    tail.labels.assign(images.labels.begin() + kept, images.labels.end());
    images.labels.resize(static_cast<std::size_t>(kept));
  }
  images.count = kept;
  return tail;
}

std::string checksum_of(const ImageSet& images) {
  return message(
      images.count, " of ", images.shape.str(), ", CRC-32 ",
      crc32_of({reinterpret_cast<const char*>(images.pixels.data()), images.pixels.size()}));
}

}  // namespace tarn::data
