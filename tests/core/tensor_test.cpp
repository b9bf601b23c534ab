#include "core/tensor.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

namespace tarn {
namespace {

// 0, 1, 2, ... in row-major order.
Tensor counting(const Shape& shape) {
  Tensor tensor = Tensor::empty(shape, DType::i32, Device::cpu());
  for (std::int32_t i = 0; i < tensor.elements(); ++i) tensor.mutable_data<std::int32_t>()[i] = i;
  return tensor;
}

// The elements in row-major order, found through the strides.
std::vector<std::int32_t> values(const Tensor& tensor) {
  if (tensor.rank() == 0) return {*tensor.data<std::int32_t>()};
  std::vector<std::int32_t> out;
  for (std::int64_t i = 0; i < tensor.size(0); ++i) {
    const auto inner = values(tensor.select(0, i));
    out.insert(out.end(), inner.begin(), inner.end());
  }
  return out;
}

TEST_CASE("tensor: an undefined one says only that") {
  const Tensor tensor;
  CHECK_FALSE(tensor.defined());
  CHECK(tensor.str() == "undefined");
  CHECK_THROWS_WITH_AS(tensor.data<float>(), "an undefined tensor has no elements", Error);
}

TEST_CASE("tensor: empty has the shape and the bytes that were asked for") {
  const Tensor tensor = Tensor::empty({3, 257}, DType::f64, Device::cpu());
  CHECK(tensor.defined());
  CHECK(tensor.rank() == 2);
  CHECK(tensor.size(-1) == 257);
  CHECK(tensor.elements() == 771);
  CHECK(tensor.bytes() == 771 * 8);
  CHECK(tensor.strides() == Shape{257, 1});
  CHECK(tensor.is_contiguous());
  CHECK(tensor.device() == Device::cpu());
  CHECK(tensor.str() == "f64 [3, 257]");
}

TEST_CASE("tensor: zeros are zero in every type and odd size") {
  for (const std::int64_t n : {1, 63, 100, 257}) {
    for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8}) {
      const Tensor tensor = Tensor::zeros({n}, dtype, Device::cpu());
      for (std::int64_t i = 0; i < tensor.bytes(); ++i) REQUIRE(tensor.raw()[i] == std::byte{0});
    }
  }
}

TEST_CASE("tensor: a scalar has one element") {
  const Tensor scalar = counting({});
  CHECK(scalar.elements() == 1);
  CHECK(scalar.is_contiguous());
  CHECK(*scalar.data<std::int32_t>() == 0);
  CHECK(scalar.view({1, 1}).shape() == Shape{1, 1});
}

TEST_CASE("tensor: impossible shapes are refused") {
  CHECK_THROWS_WITH_AS(Tensor::empty({2, -1}, DType::f32, Device::cpu()),
                       "tensor: shape [2, -1] has a negative size", ShapeError);
  constexpr std::int64_t kHuge = std::int64_t{1} << 40;
  CHECK_THROWS_AS(Tensor::empty({kHuge, kHuge}, DType::f32, Device::cpu()), ShapeError);
  CHECK_THROWS_AS(Tensor::zeros({0, kHuge, kHuge}, DType::f32, Device::cpu()), ShapeError);
}

TEST_CASE("tensor: another element type is an error that names both") {
  const Tensor tensor = counting({2, 3});
  CHECK_THROWS_WITH_AS(tensor.data<float>(), "a tensor of i32 [2, 3] was read as f32", DTypeError);
  CHECK_THROWS_AS(tensor.mutable_data<double>(), DTypeError);
}

TEST_CASE("tensor: views share storage and copies are none") {
  const Tensor tensor = counting({4, 6});
  const Tensor view = tensor.view({2, 2, 6});
  CHECK(view.shares_storage_with(tensor));
  CHECK_FALSE(Tensor::empty_like(tensor).shares_storage_with(tensor));
  view.mutable_data<std::int32_t>()[0] = 77;
  CHECK(tensor.data<std::int32_t>()[0] == 77);
}

TEST_CASE("tensor: a view keeps the tape of its origin, and none but view() the place on it") {
  Tensor tensor = counting({1, 6});
  tensor.slot = {3, 4};
  CHECK(tensor.view({6}).slot.index == 4);  // its gradient is the same elements
  for (const Tensor& view : {tensor.transpose(0, 1), tensor.slice(1, 0, 2), tensor.select(1, 0),
                             tensor.expand({5, 6}), tensor.slice(1, 0, 2).view({2})}) {
    CHECK(view.slot.tape == 3);
    CHECK(view.slot.index == 0);
  }
  CHECK(tensor.detach().slot.tape == 0);
}

TEST_CASE("tensor: view of a contiguous tensor keeps the order") {
  const Tensor tensor = counting({3, 4, 5});
  CHECK(values(tensor.view({60})) == values(tensor));
  CHECK(values(tensor.view({5, 1, 12})) == values(tensor));
  CHECK(tensor.view({5, 1, 12}).is_contiguous());
}

TEST_CASE("tensor: view wants the same number of elements") {
  const Tensor tensor = counting({2, 3});
  CHECK_THROWS_WITH_AS(tensor.view({7}), "view: [2, 3] cannot be seen as [7]", ShapeError);
  CHECK_THROWS_WITH_AS(tensor.view({-2, -3}), "tensor: shape [-2, -3] has a negative size",
                       ShapeError);
}

TEST_CASE("tensor: view splits and joins what transpose left side by side") {
  // Heads: [N, L, H * E] as [N, L, H, E], then [N, H, L, E].
  const Tensor heads = counting({2, 3, 20}).view({2, 3, 4, 5}).transpose(1, 2);
  CHECK(heads.shape() == Shape{2, 4, 3, 5});
  CHECK(heads.strides() == Shape{60, 5, 20, 1});
  const Tensor split = heads.view({2, 2, 2, 3, 5});
  CHECK(split.strides() == Shape{60, 10, 5, 20, 1});
  CHECK(values(split) == values(heads));

  // Two outer dimensions that a transpose moved together still join.
  const Tensor moved = counting({5, 3, 7}).transpose(0, 1).transpose(1, 2);
  CHECK(moved.shape() == Shape{3, 7, 5});
  const Tensor joined = moved.view({21, 5});
  CHECK(joined.strides() == Shape{1, 21});
  CHECK(values(joined) == values(moved));
}

TEST_CASE("tensor: view refuses where only a copy would do") {
  const Tensor tensor = counting({3, 4}).transpose(0, 1);
  CHECK_THROWS_WITH_AS(tensor.view({12}),
                       "view: [4, 3] with strides [1, 4] cannot be seen as [12] without a copy",
                       ShapeError);
  const Tensor sliced = counting({3, 4}).slice(1, 0, 3);
  CHECK_THROWS_AS(sliced.view({9}), ShapeError);
  CHECK(values(sliced.view({3, 3, 1})) == values(sliced));
}

TEST_CASE("tensor: dimensions of size 1 never stand in the way of a view") {
  // The strides of the middle dimension mean nothing, and are not those of a contiguous tensor.
  const Tensor tensor = counting({6, 5, 4}).slice(1, 2, 1).slice(2, 0, 3);
  CHECK(tensor.shape() == Shape{6, 1, 3});
  CHECK(values(tensor.view({6, 3})) == values(tensor));
  CHECK(values(tensor.view({1, 6, 1, 3, 1})) == values(tensor));
  const Tensor column = counting({6, 5}).slice(1, 1, 1);
  CHECK(values(column.view({6})) == std::vector<std::int32_t>{1, 6, 11, 16, 21, 26});
  CHECK(values(column.view({2, 3})) == values(column));
  CHECK(values(column.transpose(0, 1).view({3, 1, 2})) == values(column));
}

TEST_CASE("tensor: empty tensors can be viewed and cut without touching memory") {
  const Tensor tensor = Tensor::empty({0, 3}, DType::i32, Device::cpu());
  CHECK(tensor.is_contiguous());
  CHECK(tensor.transpose(0, 1).is_contiguous());
  CHECK(tensor.transpose(0, 1).view({0}).elements() == 0);
  CHECK(tensor.view({5, 0, 2}).elements() == 0);
  CHECK(tensor.slice(1, 1, 2).raw() == tensor.raw());
  CHECK(tensor.select(1, 2).shape() == Shape{0});
  CHECK(Tensor::zeros({0}, DType::f32, Device::cpu()).bytes() == 0);
}

TEST_CASE("tensor: transpose swaps two dimensions from either end") {
  const Tensor tensor = counting({2, 3});
  const Tensor swapped = tensor.transpose(-1, 0);
  CHECK(swapped.shape() == Shape{3, 2});
  CHECK_FALSE(swapped.is_contiguous());
  CHECK(values(swapped) == std::vector<std::int32_t>{0, 3, 1, 4, 2, 5});
  CHECK(values(swapped.transpose(0, 1)) == values(tensor));
  CHECK(tensor.transpose(1, 1).is_contiguous());
  // However far apart the elements of a dimension of one are.
  CHECK(Tensor::empty({3, 1}, DType::f32, Device::cpu()).transpose(0, 1).is_contiguous());
  CHECK_THROWS_AS(tensor.transpose(0, 2), ShapeError);
}

TEST_CASE("tensor: slice takes a range of one dimension") {
  const Tensor tensor = counting({4, 3});
  CHECK(values(tensor.slice(0, 1, 2)) == std::vector<std::int32_t>{3, 4, 5, 6, 7, 8});
  CHECK(tensor.slice(0, 1, 2).is_contiguous());
  CHECK(values(tensor.slice(-1, 2, 1)) == std::vector<std::int32_t>{2, 5, 8, 11});
  CHECK_FALSE(tensor.slice(-1, 2, 1).is_contiguous());
  CHECK(tensor.slice(0, 4, 0).elements() == 0);
  CHECK(values(tensor.slice(0, 1, 3).slice(0, 2, 1).slice(1, 1, 1)) ==
        std::vector<std::int32_t>{10});
}

TEST_CASE("tensor: slice out of range is an error that names the range") {
  const Tensor tensor = counting({4, 3});
  CHECK_THROWS_WITH_AS(tensor.slice(0, 3, 2), "slice: 2 from 3 of dimension 0 of [4, 3]",
                       ShapeError);
  CHECK_THROWS_AS(tensor.slice(1, -1, 2), ShapeError);
  CHECK_THROWS_AS(tensor.slice(1, 0, -1), ShapeError);
  CHECK_THROWS_AS(tensor.slice(0, INT64_MAX, 2), ShapeError);
  CHECK_THROWS_AS(tensor.slice(2, 0, 1), ShapeError);
}

TEST_CASE("tensor: select drops the dimension") {
  const Tensor tensor = counting({2, 3, 4});
  CHECK(tensor.select(1, 2).shape() == Shape{2, 4});
  CHECK(values(tensor.select(1, 2)) == std::vector<std::int32_t>{8, 9, 10, 11, 20, 21, 22, 23});
  CHECK(values(tensor.select(-1, 3)) == values(tensor.select(2, 3)));
  CHECK(values(tensor.select(0, 1).select(0, 2).select(0, 3)) == std::vector<std::int32_t>{23});
  CHECK_THROWS_AS(tensor.select(0, 2), ShapeError);
}

TEST_CASE("tensor: expand repeats dimensions of size 1 without memory") {
  const Tensor row = counting({1, 3});
  const Tensor repeated = row.expand({4, 3});
  CHECK(repeated.strides() == Shape{0, 1});
  CHECK(values(repeated) == std::vector<std::int32_t>{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2});
  CHECK_FALSE(repeated.is_contiguous());
  CHECK(row.expand({1, 3}).is_contiguous());
  CHECK(row.expand({0, 3}).elements() == 0);
  CHECK_THROWS_WITH_AS(row.expand({4, 5}),
                       "expand: dimension 1 of [1, 3] is not 1; expected [4, 5]", ShapeError);
  CHECK_THROWS_WITH_AS(row.expand({3}), "expand: [1, 3] and [3] must have the same rank",
                       ShapeError);
}

}  // namespace
}  // namespace tarn
