// The feature maps of linear attention, by the names that configs use.
#pragma once

#include <string_view>
#include <vector>

#include "autograd/unary.h"

namespace tarn::nn {

struct FeatureMap {
  std::string_view name;
  ad::Unary op;  // applied to queries and keys, element by element
};

// To add one, add its function to kernels/unary.h and its line to the table in feature_map.cpp.
const std::vector<FeatureMap>& feature_maps();

// Throws ConfigError that lists the names when there is none of this name.
const FeatureMap& find_feature_map(std::string_view name);

}  // namespace tarn::nn
