// Parameters with gradients that a test chooses.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autograd/parameter.h"
#include "autograd/tape.h"
#include "autograd/views.h"
#include "core/check.h"
#include "tests/support/random_tensor.h"

namespace tarn::test {

// Gives the parameter this gradient, as a backward pass would.
inline void set_grad(ad::Parameter& parameter, const Tensor& grad) {
  ad::Tape tape;
  Tensor out;
  {
    const ad::Recording recording = tape.record();
    out = ad::slice(parameter.tensor(), 0, 0, parameter.value().size(0));
  }
  tape.backward(out, grad);
}

inline void set_grad(ad::Parameter& parameter, const std::vector<double>& grad) {
  set_grad(parameter, from_vector(parameter.value().shape(), grad, parameter.value().dtype()));
}

// Named p0, p1, ...
class Parameters {
 public:
  explicit Parameters(const std::vector<Tensor>& values) {
    for (const Tensor& value : values) {
      all_.push_back(std::make_unique<ad::Parameter>(message("p", all_.size()),
                                                     copy_to(copy_of(value), value.device())));
    }
  }
  std::vector<ad::Parameter*> pointers() const {
    std::vector<ad::Parameter*> out;
    for (const auto& parameter : all_) out.push_back(parameter.get());
    return out;
  }
  ad::Parameter& operator[](std::size_t i) const { return *all_[i]; }
  std::size_t size() const { return all_.size(); }

 private:
  std::vector<std::unique_ptr<ad::Parameter>> all_;
};

}  // namespace tarn::test
