#include "nn/feature_map.h"

#include <string>

namespace tarn::nn {

const std::vector<FeatureMap>& feature_maps() {
  static const std::vector<FeatureMap> maps{
      {"elu+1", ad::Unary::elu_plus_one},
      {"relu", ad::Unary::relu},
      {"identity", ad::Unary::identity},
  };
  return maps;
}

const FeatureMap& find_feature_map(std::string_view name) {
  std::string known;
  for (const FeatureMap& map : feature_maps()) {
    if (map.name == name) return map;
    known += known.empty() ? "" : ", ";
    known += map.name;
  }
  fail<ConfigError>("\"", name, "\" is not a feature map; there are ", known);
}

}  // namespace tarn::nn
