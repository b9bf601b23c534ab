#include <iostream>

#include "core/tensor.h"

int main() {
  const tarn::Tensor tensor = tarn::Tensor::zeros({2, 3}, tarn::DType::f32, tarn::Device::cpu());
  std::cout << tensor.shape().str() << "\n";
}
