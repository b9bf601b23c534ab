// A tree of named parameters. The names are the checkpoint format, and those of the authors'
// library.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/parameter.h"
#include "core/compute.h"
#include "core/rng.h"
#include "nn/init.h"

namespace tarn::nn {

// What every module is built with: where it stands in the tree, and what its numbers are made of.
struct Build {
  std::string path;  // "transformer.layers.0", without a final dot; empty at the root
  DType dtype = DType::f32;
  Device device;
  std::uint64_t seed = 1;
  Compute compute = Compute::own_type;  // of the products of linear layers

  std::string full_name(const std::string& name) const {
    return path.empty() ? name : path + "." + name;
  }
  Build child(const std::string& name) const {
    return {full_name(name), dtype, device, seed, compute};
  }
};

// What a forward pass is told besides its inputs. There is no hidden training flag.
struct Pass {
  bool training = false;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  bool recompute = false;  // keep only each layer's input, and run the layer again in the backward
};

// A tensor that is saved with the parameters but not trained.
struct Buffer {
  std::string name;
  Tensor value;
};

class Module {
 public:
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // Everything trainable here and below, in the order of construction, by full name:
  // "layers.0.attention.query_projection.weight". The pointers live as long as the module.
  std::vector<ad::Parameter*> parameters() const;
  std::vector<Buffer> buffers() const;
  Device device() const { return build_.device; }  // of all of them

 protected:
  explicit Module(Build build) : build_(std::move(build)) {}

  // Throws ShapeError where the shape has a size below 1.
  ad::Parameter& parameter(const std::string& name, const Shape& shape, const Init& init);
  // In memory that the caller chose: contiguous, of the parameter's shape.
  ad::Parameter& parameter(const std::string& name, const Tensor& place, const Init& init);
  // Returns the buffer's tensor, which shares its elements.
  Tensor buffer(const std::string& name, Tensor value);
  // Builds a child in place and owns it; the reference is good for the module's life.
  template <class M, class... Args>
  M& child(const std::string& name, Args&&... args) {
    return adopt(std::make_unique<M>(build_.child(name), std::forward<Args>(args)...));
  }
  // The same for a child that a registry built.
  template <class M>
  M& adopt(std::unique_ptr<M> module) {
    M& reference = *module;
    children_.push_back(std::move(module));
    return reference;
  }

  const Build& build() const { return build_; }
  // Where the random numbers lie that this module draws in a pass for a purpose ("dropout1").
  RngAddress address(const Pass& pass, const char* purpose) const {
    return {pass.seed, site_of(build_.full_name(purpose)), pass.step};
  }

 private:
  Build build_;
  std::vector<std::unique_ptr<ad::Parameter>> parameters_;
  std::vector<Buffer> buffers_;
  std::vector<std::unique_ptr<Module>> children_;
};

}  // namespace tarn::nn
