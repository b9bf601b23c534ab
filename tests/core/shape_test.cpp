#include "core/shape.h"

#include <doctest/doctest.h>

#include "core/check.h"

namespace tarn {
namespace {

TEST_CASE("shape: sizes are read from either end") {
  const Shape shape{8, 784, 32};
  CHECK(shape.rank() == 3);
  CHECK(shape[0] == 8);
  CHECK(shape[-1] == 32);
  CHECK(shape[-3] == 8);
  CHECK(shape.back() == 32);
  CHECK(shape.elements() == 8 * 784 * 32);
  CHECK(shape.str() == "[8, 784, 32]");
}

TEST_CASE("shape: a scalar has rank 0 and one element") {
  const Shape scalar;
  CHECK(scalar.rank() == 0);
  CHECK(scalar.elements() == 1);
  CHECK(scalar.str() == "[]");
  CHECK(scalar == Shape{});
  CHECK_THROWS_WITH_AS(scalar.back(), "dimension -1 of a shape of rank 0", ShapeError);
  CHECK_THROWS_WITH_AS(scalar.without_last(), "a scalar has no last dimension", ShapeError);
}

TEST_CASE("shape: one size of 0 makes it empty") {
  CHECK(Shape{3, 0, 5}.elements() == 0);
  CHECK(Shape{3, 0, 5} != Shape{0, 3, 5});
}

TEST_CASE("shape: equality looks at the rank and at every size") {
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK(Shape{2, 3} != Shape{3, 2});
  CHECK(Shape{2} != Shape{2, 1});
  CHECK(Shape{2} != Shape{2, 0});
  CHECK(Shape{} != Shape{0});
}

TEST_CASE("shape: a dimension out of range is named with the rank") {
  Shape shape{2, 3};
  CHECK_THROWS_WITH_AS(shape[2], "dimension 2 of a shape of rank 2", ShapeError);
  CHECK_THROWS_WITH_AS(shape[-3], "dimension -3 of a shape of rank 2", ShapeError);
}

TEST_CASE("shape: more than six dimensions are refused") {
  CHECK(Shape{1, 2, 3, 4, 5, 6}.elements() == 720);
  CHECK_THROWS_WITH_AS((Shape{1, 2, 3, 4, 5, 6, 7}), "a tensor has at most 6 dimensions, not 7",
                       ShapeError);
  CHECK_THROWS_AS(Shape::of_rank(7, 1), ShapeError);
  CHECK_THROWS_AS(Shape::of_rank(-1, 1), ShapeError);
  CHECK_THROWS_AS((Shape{1, 2, 3, 4, 5, 6}.with(7)), ShapeError);
}

TEST_CASE("shape: of_rank fills and sizes can be changed") {
  Shape shape = Shape::of_rank(3, 7);
  CHECK(shape == Shape{7, 7, 7});
  shape[1] = 5;
  shape[-1] = 1;
  CHECK(shape == Shape{7, 5, 1});
}

TEST_CASE("shape: with and without_last undo each other") {
  const Shape shape{4, 5};
  CHECK(shape.with(6) == Shape{4, 5, 6});
  CHECK(shape.with(6).without_last() == shape);
  CHECK(Shape{9}.without_last() == Shape{});
  CHECK(Shape{}.with(3) == Shape{3});
}

TEST_CASE("shape: contiguous strides are row-major") {
  CHECK(contiguous_strides(Shape{2, 3, 4}) == Shape{12, 4, 1});
  CHECK(contiguous_strides(Shape{7}) == Shape{1});
  CHECK(contiguous_strides(Shape{}) == Shape{});
  CHECK(contiguous_strides(Shape{5, 1, 257}) == Shape{257, 257, 1});
}

}  // namespace
}  // namespace tarn
