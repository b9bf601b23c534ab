// `tarn data`: what it says of a folder, drawn images, and what people get wrong.
#include <doctest/doctest.h>

#include "core/check.h"
#include "core/io/file.h"
#include "data/checksum.h"
#include "tests/support/image_files.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

// Exit code 0, and all the parts, one after another.
void check_says(const Arguments& arguments, const std::vector<std::string>& parts) {
  const Outcome outcome = run_program(arguments);
  INFO(outcome.out, outcome.err);
  CHECK(outcome.code == 0);
  std::size_t from = 0;
  for (const std::string& part : parts) {
    CAPTURE(part);
    const std::size_t at = outcome.out.find(part, from);
    CHECK(at != std::string::npos);
    if (at != std::string::npos) from = at + part.size();
  }
}

std::string checksum_text(const fs::path& file) {
  char text[16];
  std::snprintf(text, sizeof text, "%08x", crc32_of_file(file));
  return text;
}

TEST_CASE("data command: counts beside those of the data set, and MD5 of what files hold") {
  const TempDir dir(fast_directory());
  write_idx_folder(dir / "mnist", 12, 5, 28, 28);
  const std::string held = idx_bytes({12, 28, 28}, made_values(12, 784));
  check_says({"data", dir / "mnist"},
             {"not as many as MNIST has: 60000 training and 10000 test images", data::md5_of(held),
              "train-images-idx3-ubyte.gz"});
  write_cifar_folder(dir / "cifar", 1, 6, 3);
  check_says({"data", dir / "cifar"}, {"not as many as CIFAR-10 has: 50000 training",
                                       data::md5_of(cifar_bytes(0, 6)), "data_batch_1.bin"});
  write_idx_folder(dir / "other", 12, 5, 4, 3);
  check_says({"data", dir / "other"}, {"neither MNIST nor CIFAR-10"});
}

TEST_CASE("data command: files, counts, checksums, shape and labels") {
  const TempDir dir(fast_directory());
  write_idx_folder(dir / "idx", 12, 5, 4, 3);
  const std::string images = "train-images-idx3-ubyte.gz";
  check_says({"data", dir / "idx"},
             {"IDX files, named as MNIST's\n", "12 training and 5 test images of 4x3: 12 values",
              checksum_text(dir / "idx" / images),
              message(fs::file_size(dir / "idx" / images), "  ", images, ": 12 images of 4x3\n"),
              "t10k-labels-idx1-ubyte: 5 labels\n", "label     train      test\n",
              "    0         2         1\n", "    1         2         1\n",
              "    9         1         0\n"});
  write_cifar_folder(dir / "cifar", 2, 6, 3);
  write_bytes(dir / "cifar/batches.meta.txt", "airplane\nautomobile\n");
  check_says({"data", dir / "cifar"},
             {"CIFAR-10's binary files\n", "12 training and 3 test images of 32x32x3: 3072 values",
              "18438  data_batch_1.bin: 6 images of 32x32x3\n",
              "18438  data_batch_2.bin: ", "9219  test_batch.bin: 3 images",
              "0         2         1  airplane\n", "3         1         0\n"});
  fs::remove(dir / "idx/train-labels-idx1-ubyte");
  fs::remove(dir / "idx/t10k-labels-idx1-ubyte");
  check_says({"data", dir / "idx"},
             {"t10k-images-idx3-ubyte.gz: 5 images of 4x3\n", "no labels\n"});
}

TEST_CASE("data command: drawn images") {
  const TempDir dir(fast_directory());
  check_says(
      {"data", dir / "a", "--draw-images", "20"},
      {"20 training and 4 test images of 28x28: 784 values each", "0         2         1\n"});
  check_says({"data", dir / "b", "--draw-images", "3", "--shape", "8x6x3", "--seed", "2"},
             {"3 training and 1 test images of 8x6x3: 144 values each"});
  check_refused({"data", dir / "a", "--draw-images", "20"}, {"cannot make ", "/a: it exists"});
  check_refused({"data", dir / "c", "--draw-images", "0"}, {"--draw-images"});
  check_refused({"data", dir / "c", "--draw-images", "9", "--shape", "28x28x2"},
                {"images of 28x28x2 cannot be drawn: channels must be 1 or 3"});
  for (const char* shape :
       {"28", "28x", "x28", "28x28x", "28x28x1x1", "28y28", "axb", "", "28 x28"}) {
    CAPTURE(shape);
    check_refused({"data", dir / "c", "--draw-images", "9", "--shape", shape},
                  {"--shape ", shape, " is not HEIGHTxWIDTH"});
  }
  CHECK_FALSE(fs::exists(dir / "c"));
}

TEST_CASE("data command: folders that are wrong") {
  const TempDir dir(fast_directory());
  check_refused({"data", dir / "none"}, {"cannot read the folder ", "none: No such file"});
  check_refused({"data", dir.path()}, {"holds no data that tarn reads", "train-images-idx3-ubyte"});
  check_refused({"data"}, {"DIR is missing"});
  write_idx_folder(dir / "idx", 12, 5, 4, 3);
  const std::string images = read_file(dir / "idx/train-images-idx3-ubyte.gz");
  write_bytes(dir / "idx/train-images-idx3-ubyte.gz", images.substr(0, images.size() / 2));
  check_refused({"data", dir / "idx"},
                {"tarn: ", "train-images-idx3-ubyte.gz: its gzip stream ends early"});
}

}  // namespace
}  // namespace tarn::test
