#include "kernels/copy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "kernels/table.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::full;
using test::get;
using test::random_tensor;

const Device kCpu = Device::cpu();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

void copy(const Tensor& from, const Tensor& to, double beta = 0) {
  run(&Table::copy, kCpu, {.from = from, .to = to, .beta = beta});
}

// Each index its own number, small enough for every dtype.
Tensor counted(const Shape& shape, DType dtype) {
  Tensor t = Tensor::empty(shape, dtype, kCpu);
  for (std::int64_t i = 0; i < t.elements(); ++i) test::set(t, i, static_cast<double>(i % 251));
  return t;
}

TEST_CASE("copy: any dtype between any strides") {
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8}) {
    CAPTURE(name_of(dtype));
    const Tensor base = counted({5, 7, 63}, dtype);
    for (const Tensor& from :
         {base, base.transpose(0, 1), base.transpose(1, 2), base.slice(2, 3, 9),
          base.slice(1, 2, 1).expand({5, 7, 63}), base.select(0, 3), base.slice(0, 0, 0)}) {
      CAPTURE(from.shape().str());
      const Tensor to = full(from.shape(), dtype, 99);
      copy(from, to);
      CHECK(test::max_abs_difference(to, from) == 0);
    }
    const Tensor back = full({5, 63, 7}, dtype, 99).transpose(1, 2);
    copy(base, back);
    CHECK(test::max_abs_difference(back, base) == 0);
  }
}

TEST_CASE("copy: rows that are cut into chunks, one element, and none") {
  for (const std::int64_t n : {1, 63, 257, 40000}) {
    const Tensor from = random_tensor({n, 5}, DType::f32, "from").transpose(0, 1);
    const Tensor to = full({5, n}, DType::f32, kNaN);
    copy(from, to);
    CHECK(test::max_abs_difference(to, from) == 0);
  }
  const Tensor scalar = full({}, DType::f64, 3), out = full({}, DType::f64, kNaN);
  copy(scalar, out);
  CHECK(get(out, 0) == 3);
  copy(scalar, out, 2);
  CHECK(get(out, 0) == 9);
}

TEST_CASE("copy: adds to beta times the old, through any view") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const double beta : {1.0, 0.5}) {
      const Tensor from = counted({4, 63}, dtype).transpose(0, 1);
      const Tensor wide = counted({63, 9}, dtype), old = test::copy_of(wide);
      copy(from, wide.slice(1, 2, 4), beta);
      for (std::int64_t r = 0; r < 63; ++r) {
        for (std::int64_t c = 0; c < 9; ++c) {
          const bool inside = c >= 2 && c < 6;
          const double expected =
              inside ? beta * get(old, {r, c}) + get(from, {r, c - 2}) : get(old, {r, c});
          CHECK(get(wide, {r, c}) == expected);
        }
      }
    }
  }
}

TEST_CASE("copy: keeps the bits of a NaN's payload and of minus zero") {
  const Tensor from = test::from_vector({2}, {-0.0, kNaN}, DType::f32);
  const Tensor to = full({2}, DType::f32, 1);
  copy(from, to);
  CHECK(std::signbit(get(to, 0)));
  CHECK(std::isnan(get(to, 1)));
}

TEST_CASE("fill: sets every element") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const std::int64_t n : {0, 1, 63, 257, 200001}) {
      const Tensor to = full({n}, dtype, kNaN);
      run(&Table::fill, kCpu, {.to = to, .value = 0.25});
      CHECK(test::max_abs_difference(to, full({n}, dtype, 0.25)) == 0);
    }
  }
}

}  // namespace
}  // namespace tarn::kernels
