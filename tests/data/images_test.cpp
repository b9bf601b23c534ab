// Folders of images, and CIFAR-10's records.
#include "data/images.h"

#include <doctest/doctest.h>

#include <string>

#include "core/check.h"
#include "data/cifar.h"
#include "tests/support/image_files.h"
#include "tests/support/temp_dir.h"

namespace tarn::data {
namespace {

namespace fs = std::filesystem;
using test::cifar_bytes;
using test::gzip_bytes;
using test::idx_bytes;
using test::made_value;
using test::made_values;
using test::write_bytes;

// Refused as a user's error that has the text and the name of the file or folder.
void check_refused(const fs::path& folder, const std::string& expected, const std::string& name) {
  INFO("expected: ", expected);
  CHECK_THROWS_WITH_AS(open_image_folder(folder), doctest::Contains(expected.c_str()), IoError);
  const std::string named = (name.empty() ? folder : folder / name).string() + ": ";
  CHECK_THROWS_WITH_AS(open_image_folder(folder), doctest::Contains(named.c_str()), IoError);
}

// Value i of image n as the tests' CIFAR records have it: colour by colour in the file.
std::uint8_t cifar_value(std::int64_t n, std::int64_t i) {
  const std::int64_t pixel = i / 3, channel = i % 3;
  return static_cast<std::uint8_t>(made_value(n, channel * 1024 + pixel));
}

TEST_CASE("cifar: records become images with their channels together") {
  const ImageSet set = parse_cifar(cifar_bytes(5, 7), "file");
  CHECK(set.shape == ImageShape{32, 32, 3});
  CHECK(set.shape.str() == "32x32x3");
  CHECK(set.count == 7);
  CHECK(set.labels == std::vector<std::uint8_t>{5, 6, 7, 8, 9, 0, 1});
  for (std::int64_t n = 0; n < 7; ++n) {
    const auto image = set.image(n);
    bool same = image.size() == 3072;
    for (std::size_t i = 0; same && i < 3072; ++i) {
      same = image[i] == cifar_value(5 + n, static_cast<std::int64_t>(i));
    }
    CHECK(same);
  }
}

TEST_CASE("cifar: files of the wrong size, and labels that are none") {
  const std::string bytes = cifar_bytes(0, 3);
  const auto refused = [](const std::string& content, const char* expected) {
    CHECK_THROWS_WITH_AS(parse_cifar(content, "dir/file"), expected, IoError);
  };
  refused("",
          "dir/file: has 0 bytes: 0 records of 3073 and 0 bytes more; "
          "expected one record or more, whole");
  refused(bytes.substr(0, 9218),
          "dir/file: has 9218 bytes: 2 records of 3073 and 3072 bytes more; "
          "expected one record or more, whole");
  refused(bytes + "x",
          "dir/file: has 9220 bytes: 3 records of 3073 and 1 bytes more; "
          "expected one record or more, whole");
  std::string labelled = bytes;
  labelled[3073] = 10;
  refused(labelled, "dir/file: record 1 has the label 10; CIFAR-10's are 0 to 9");
  labelled[3073] = '\xff';
  refused(labelled, "dir/file: record 1 has the label 255; CIFAR-10's are 0 to 9");
}

TEST_CASE("images: a folder with MNIST's names") {
  const test::TempDir dir;
  test::write_idx_folder(dir.path(), 12, 5, 4, 3);
  CHECK(is_image_folder(dir.path()));
  const ImageFolder images = open_image_folder(dir.path());
  CHECK(images.kind == "IDX files, named as MNIST's");
  CHECK(images.train.shape == ImageShape{4, 3, 1});
  CHECK(images.train.shape.str() == "4x3");
  CHECK(images.train.count == 12);
  CHECK(images.test.count == 5);
  CHECK(images.train.labels == std::vector<std::uint8_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1});
  CHECK(images.classes.empty());
  const std::string values = made_values(12, 12);
  CHECK(images.train.pixels == std::vector<std::uint8_t>(values.begin(), values.end()));
  CHECK(images.test.image(4)[11] == static_cast<std::uint8_t>(made_value(4, 11)));
  std::vector<std::string> files;
  for (const ImageFile& file : images.files) {
    files.push_back(file.path.filename().string() + ": " + file.content);
  }
  CHECK(files == std::vector<std::string>{"train-images-idx3-ubyte.gz: 12 images of 4x3",
                                          "train-labels-idx1-ubyte: 12 labels",
                                          "t10k-images-idx3-ubyte.gz: 5 images of 4x3",
                                          "t10k-labels-idx1-ubyte: 5 labels"});
}

TEST_CASE("images: IDX names with a dot, as some archives have them") {
  const test::TempDir dir;
  write_bytes(dir / "train-images.idx3-ubyte", idx_bytes({3, 2, 2}, made_values(3, 4)));
  write_bytes(dir / "train-labels.idx1-ubyte", idx_bytes({3}, "abc"));
  write_bytes(dir / "t10k-images.idx3-ubyte.gz", gzip_bytes(idx_bytes({1, 2, 2}, "abcd")));
  CHECK(is_image_folder(dir.path()));
  const ImageFolder images = open_image_folder(dir.path());
  CHECK(images.train.count == 3);
  CHECK(images.train.labels.size() == 3);
  CHECK(images.test.count == 1);
}

TEST_CASE("images: CIFAR-10 batches whose numbers are none, or the same") {
  for (const char* name : {"data_batch_.bin", "data_batch_one.bin", "data_batch_1 (1).bin",
                           "data_batch_-2.bin", "data_batch_1234567.bin", "data_batch_01.bin"}) {
    CAPTURE(name);
    const test::TempDir dir;
    test::write_cifar_folder(dir.path(), 2, 3, 3);
    write_bytes(dir / name, test::cifar_bytes(0, 1));
    CHECK_THROWS_WITH_AS(open_image_folder(dir.path()), doctest::Contains(name), IoError);
  }
  const test::TempDir dir;
  test::write_cifar_folder(dir.path(), 2, 3, 3);
  write_bytes(dir / "data_batch_6.bin", test::cifar_bytes(0, 1));
  CHECK(open_image_folder(dir.path()).train.count == 7);
}

TEST_CASE("images: names of classes with a byte order mark") {
  const test::TempDir dir;
  test::write_cifar_folder(dir.path(), 1, 3, 3);
  write_bytes(dir / "batches.meta.txt",
              "\xef\xbb\xbf"
              "airplane\r\nautomobile");
  CHECK(open_image_folder(dir.path()).classes ==
        std::vector<std::string>{"airplane", "automobile"});
}

TEST_CASE(
    "images: IDX files with channels, without labels, and the plain file before the gzipped") {
  const test::TempDir dir;
  write_bytes(dir / "train-images-idx4-ubyte", idx_bytes({2, 2, 2, 3}, made_values(2, 12)));
  write_bytes(dir / "t10k-images-idx4-ubyte.gz", "not looked at");
  write_bytes(dir / "t10k-images-idx4-ubyte", idx_bytes({1, 2, 2, 3}, made_values(1, 12)));
  const ImageFolder images = open_image_folder(dir.path());
  CHECK(images.train.shape == ImageShape{2, 2, 3});
  CHECK(images.train.labels.empty());
  CHECK(images.test.count == 1);
}

TEST_CASE("images: a folder with any number of CIFAR-10's batches, in the order of their numbers") {
  const test::TempDir dir;
  test::write_cifar_folder(dir.path(), 11, 2, 3);
  const ImageFolder images = open_image_folder(dir.path());
  CHECK(images.kind == "CIFAR-10's binary files");
  CHECK(images.train.count == 22);
  CHECK(images.train.pixels.size() == 22 * 3072);
  CHECK(images.test.count == 3);
  CHECK(images.classes.empty());
  CHECK(images.files.size() == 12);
  bool ordered = true;
  for (std::int64_t n = 0; n < 22; ++n) {
    ordered = ordered && images.train.labels[static_cast<std::size_t>(n)] == n % 10 &&
              images.train.image(n)[1] == cifar_value(n, 1);
  }
  CHECK(ordered);

  fs::remove(dir / "data_batch_4.bin");
  write_bytes(dir / "batches.meta.txt", "air plane\r\nfrog\n\n");
  const ImageFolder fewer = open_image_folder(dir.path());
  CHECK(fewer.train.count == 20);
  CHECK(fewer.classes == std::vector<std::string>{"air plane", "frog"});
}

TEST_CASE("images: folders that are none") {
  const test::TempDir dir;
  CHECK_FALSE(is_image_folder(dir.path()));
  check_refused(dir.path(), "has no images that tarn reads", "");
  CHECK_THROWS_WITH_AS(open_image_folder(dir / "none"), doctest::Contains("No such file"), IoError);
  CHECK_THROWS_WITH_AS(is_image_folder(dir / "none"), doctest::Contains("cannot read the folder"),
                       IoError);
  write_bytes(dir / "file", "");
  CHECK_THROWS_WITH_AS(open_image_folder(dir / "file"), doctest::Contains("Not a directory"),
                       IoError);
  test::write_idx_folder(dir.path(), 2, 2, 4, 4);
  test::write_cifar_folder(dir.path(), 1, 2, 2);
  check_refused(dir.path(), "has IDX files as well as CIFAR-10's", "");
}

TEST_CASE("images: a file of the folder that is missing or damaged is named") {
  const test::TempDir dir;
  const fs::path idx = dir / "idx", cifar = dir / "cifar";
  test::write_cifar_folder(cifar, 1, 2, 2);
  write_bytes(cifar / "data_batch_1.bin", cifar_bytes(0, 2).substr(1));
  check_refused(cifar, "has 6145 bytes: 1 records of 3073", "data_batch_1.bin");
  fs::remove(cifar / "data_batch_1.bin");
  check_refused(cifar, "there is no data_batch_1.bin; training and test", "");
  test::write_cifar_folder(cifar, 1, 2, 2);
  fs::remove(cifar / "test_batch.bin");
  check_refused(cifar, "there is no test_batch.bin; training and test", "");

  test::write_idx_folder(idx, 4, 2, 4, 4);
  write_bytes(idx / "train-images-idx3-ubyte.gz", "PNG?");
  check_refused(idx, "is not an IDX file", "train-images-idx3-ubyte.gz");
  fs::remove(idx / "train-images-idx3-ubyte.gz");
  check_refused(idx, "there is no train-images-idx3-ubyte, plain or .gz", "");
  test::write_idx_folder(idx, 4, 2, 4, 4);
  fs::remove(idx / "t10k-images-idx3-ubyte.gz");
  check_refused(idx, "there is no t10k-images-idx3-ubyte, plain or .gz", "");
}

TEST_CASE("images: labels and images that do not match in number, or in place") {
  const test::TempDir dir;
  test::write_idx_folder(dir.path(), 4, 2, 4, 4);
  write_bytes(dir / "t10k-labels-idx1-ubyte", idx_bytes({3}, "abc"));
  check_refused(dir.path(), "has 3 labels, and t10k-images-idx3-ubyte.gz has 2 images",
                "t10k-labels-idx1-ubyte");
  write_bytes(dir / "t10k-labels-idx1-ubyte", idx_bytes({1, 1, 2}, "ab"));
  check_refused(dir.path(), "has 3 dimensions, as images have", "t10k-labels-idx1-ubyte");
  write_bytes(dir / "train-images-idx3-ubyte.gz", idx_bytes({4}, "abcd"));
  check_refused(dir.path(), "has one dimension, as labels have", "train-images-idx3-ubyte.gz");
}

TEST_CASE("images: sets of nothing, of single values, or of two sizes") {
  const test::TempDir dir;
  test::write_idx_folder(dir.path(), 4, 2, 4, 4);
  const fs::path file = dir / "train-images-idx3-ubyte.gz";
  write_bytes(file, idx_bytes({0, 4, 4}, ""));
  check_refused(dir.path(), "has 0 images of 4x4; expected one or more", file.filename());
  write_bytes(file, idx_bytes({4, 1, 1}, "abcd"));
  check_refused(dir.path(), "has 4 images of 1x1; expected one or more, of two", file.filename());
  write_bytes(file, idx_bytes({0xffffffff, 0xffffffff, 0xffffffff, 0}, ""));
  check_refused(dir.path(), "has 4294967295 images of", file.filename());
  write_bytes(file, idx_bytes({4, 4, 5}, made_values(4, 20)));
  check_refused(dir.path(), "training images of 4x5 and test images of 4x4 must be of one size",
                "");
}

TEST_CASE("images: the tail of a set") {
  const test::TempDir dir;
  test::write_idx_folder(dir.path(), 12, 5, 4, 3);
  const ImageSet whole = open_image_folder(dir.path()).train;
  for (const std::int64_t count : {0, 1, 5, 11}) {
    ImageSet kept = whole;
    const ImageSet tail = take_tail(kept, count);
    CHECK(tail.shape == whole.shape);
    CHECK(kept.count == 12 - count);
    CHECK(tail.count == count);
    std::vector<std::uint8_t> pixels = kept.pixels, labels = kept.labels;
    pixels.insert(pixels.end(), tail.pixels.begin(), tail.pixels.end());
    labels.insert(labels.end(), tail.labels.begin(), tail.labels.end());
    CHECK(static_cast<std::int64_t>(tail.pixels.size()) == count * 12);
    CHECK(static_cast<std::int64_t>(tail.labels.size()) == count);
    CHECK(pixels == whole.pixels);
    CHECK(labels == whole.labels);
  }
  ImageSet kept = whole;
  kept.labels.clear();
  CHECK(take_tail(kept, 2).labels.empty());
  CHECK_THROWS_WITH_AS(
      take_tail(kept, 10),
      "task.validation 10 leaves nothing to train on: there are 10 training images", ConfigError);
  CHECK_THROWS_AS(take_tail(kept, -1), ConfigError);
  CHECK(kept.count == 10);
}

}  // namespace
}  // namespace tarn::data
