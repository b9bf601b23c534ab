#include "nn/embedding.h"

#include <cmath>
#include <vector>

#include "autograd/embedding.h"
#include "autograd/views.h"
#include "core/transfer.h"

namespace tarn::nn {
namespace {

template <class T>
Tensor sinusoids(std::int64_t length, std::int64_t width, Device device) {
  std::vector<T> values;
  values.reserve(static_cast<std::size_t>(length * width));
  for (std::int64_t t = 0; t < length; ++t) {
    for (std::int64_t column = 0; column < width; ++column) {
      const std::int64_t even = column - column % 2;
      const double frequency =
          std::exp(-static_cast<double>(even) * std::log(10000.0) / static_cast<double>(width));
      const double angle = static_cast<double>(t) * frequency;
      values.push_back(static_cast<T>(column % 2 == 0 ? std::sin(angle) : std::cos(angle)));
    }
  }
  return from_values<T>(values, {1, length, width}, device);
}

}  // namespace

Embedding::Embedding(const Build& build, std::int64_t vocabulary, std::int64_t width)
    : Module(build), weight_(parameter("weight", {vocabulary, width}, Init::normal(1))) {}

Tensor Embedding::forward(const Tensor& tokens) const {
  return ad::embedding(tokens, weight_.tensor());
}

PositionEmbedding::PositionEmbedding(const Build& build, std::int64_t max_length,
                                     std::int64_t width)
    : Module(build),
      pe_(buffer("pe", build.dtype == DType::f64
                           ? sinusoids<double>(max_length, width, build.device)
                           : sinusoids<float>(max_length, width, build.device))) {}

Tensor PositionEmbedding::concat_to(const Tensor& x) const {
  const std::int64_t length = x.size(1);
  TARN_CHECK_SHAPE(length <= pe_.size(1), "position embedding: a sequence of ", length,
                   " positions is longer than the ", pe_.size(1), " the model was built for");
  return ad::concat(x, pe_.slice(1, 0, length).expand({x.size(0), length, pe_.size(2)}));
}

Tensor PositionEmbedding::concat_to(const Tensor& x, std::int64_t position) const {
  TARN_CHECK_SHAPE(position < pe_.size(1), "position embedding: position ", position,
                   " is past the ", pe_.size(1), " the model was built for");
  return ad::concat(x, pe_.select(1, position).expand({x.size(0), pe_.size(2)}));
}

Tensor PositionEmbedding::concat_to(const Tensor& x, const Tensor& position) const {
  const Tensor row = ad::embedding(position, pe_.select(0, 0));
  return ad::concat(x, row.expand({x.size(0), row.size(1)}));
}

}  // namespace tarn::nn
