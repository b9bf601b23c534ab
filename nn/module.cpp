#include "nn/module.h"

#include "core/transfer.h"

namespace tarn::nn {

std::vector<ad::Parameter*> Module::parameters() const {
  std::vector<ad::Parameter*> all;
  for (const auto& parameter : parameters_) all.push_back(parameter.get());
  for (const auto& child : children_) {
    const auto below = child->parameters();
    all.insert(all.end(), below.begin(), below.end());
  }
  return all;
}

std::vector<Buffer> Module::buffers() const {
  std::vector<Buffer> all = buffers_;
  for (const auto& child : children_) {
    const auto below = child->buffers();
    all.insert(all.end(), below.begin(), below.end());
  }
  return all;
}

ad::Parameter& Module::parameter(const std::string& name, const Shape& shape, const Init& init) {
  for (int d = 0; d < shape.rank(); ++d) {
    TARN_CHECK_SHAPE(shape[d] > 0, build_.full_name(name), " ", shape,
                     ": a parameter has no dimension of size 0 or less");
  }
  return parameter(name, Tensor::empty(shape, build_.dtype, build_.device), init);
}

ad::Parameter& Module::parameter(const std::string& name, const Tensor& place, const Init& init) {
  const std::string full = build_.full_name(name);
  const RngAddress at{build_.seed, site_of(full), 0};
  copy_into(initialise(init, place.shape(), at, place.dtype(), place.device()), place);
  parameters_.push_back(std::make_unique<ad::Parameter>(full, place));
  return *parameters_.back();
}

Tensor Module::buffer(const std::string& name, Tensor value) {
  buffers_.push_back({build_.full_name(name), value});
  return value;
}

}  // namespace tarn::nn
