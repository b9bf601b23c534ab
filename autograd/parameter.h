// A trainable tensor: its value, its gradient and the name that checkpoints know it by.
#pragma once

#include <string>
#include <utility>

#include "core/tensor.h"

namespace tarn::ad {

class Parameter {
 public:
  Parameter(std::string name, Tensor value) : name_(std::move(name)), value_(std::move(value)) {}
  Parameter(const Parameter&) = delete;  // the tape holds its address
  Parameter& operator=(const Parameter&) = delete;

  const std::string& name() const { return name_; }
  const Tensor& value() const { return value_; }

  // The value as ops take it: standing on the tape, if one is recording.
  Tensor tensor();

  // The sum of the gradients since the last clear_grad(); undefined if there never was one.
  const Tensor& grad() const { return grad_; }
  bool has_grad() const { return has_grad_; }
  // The next gradient overwrites. The memory stays.
  void clear_grad() { has_grad_ = false; }
  // Where gradients go from now on: contiguous, like the value. What it holds is the gradient so
  // far, if `has_grad`, and is overwritten otherwise.
  void place_grad(Tensor place, bool has_grad) {
    grad_ = std::move(place);
    has_grad_ = has_grad;
  }

 private:
  friend class Tape;

  std::string name_;
  Tensor value_, grad_;
  bool has_grad_ = false;
  GradSlot
      slot_;  // where it stands on the tape that saw it last: one slot however often it is used
};

}  // namespace tarn::ad
