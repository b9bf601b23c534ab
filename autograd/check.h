// What ops ask of their arguments, in one vocabulary. The checks stand at the top of an op, before
// memory is allocated or a thread starts: kernels assume what they say, and an exception must not
// leave a parallel loop. One that fails throws an error that names the op, the argument, what it is
// and what was expected: ShapeError, IndexError (a length or a label out of range), DTypeError,
// DeviceError, or Error for a number that is no tensor.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "core/tensor.h"

namespace tarn::ad {

// A tensor with the name that the op's declaration gives it. It refers to the tensor.
struct Argument {
  const char* name;
  const Tensor& tensor;
};

// The checks of one op. An undefined tensor is an optional argument that was left out, and passes;
// alike() and floats() want their first one defined, and required() all of them.
class Check {
 public:
  explicit Check(const char* op) : op_(op) {}

  void required(std::initializer_list<Argument> arguments) const;
  // All of the first one's dtype and on its device.
  void alike(std::initializer_list<Argument> arguments) const;
  // The same, in f32 or f64.
  void floats(std::initializer_list<Argument> arguments) const;
  void dtype(const Argument& argument, DType expected) const;
  void device(const Argument& argument, Device expected) const;

  // `layout` says in words what the dimensions are: "[N, L, H, width]".
  void rank(const Argument& argument, int expected, const char* layout) const;
  void shape(const Argument& argument, const Shape& expected) const;
  // At least one dimension, and none of size 0 among the last `count` of them.
  void widths(const Argument& argument, int count = 1) const;

  void contiguous(std::initializer_list<Argument> arguments) const;
  // Each row, which is the last dimension, without gaps.
  void contiguous_rows(std::initializer_list<Argument> arguments) const;
  // Heads of attention: [N, L, H, width], neither H nor the width 0, with contiguous rows.
  void heads(std::initializer_list<Argument> arguments) const;

  // i32, contiguous, of this shape and on this device.
  void integers(const Argument& argument, const Shape& expected, Device device) const;
  // Each value of an i32 tensor in [first, last]. They are read only where they lie in the CPU's
  // memory, so that no device has to be waited for. On a device a bad token or label, or a bad
  // length of ctc, makes a result that is not finite, and a bad length of another op is cut to the
  // longest.
  void range(const Argument& argument, std::int64_t first, std::int64_t last) const;
  // One length of 0 to `longest` for each of a batch of sequences: i32 [batch].
  void lengths(const Argument& argument, std::int64_t batch, std::int64_t longest,
               Device device) const;

  // Of dropout: in [0, 1).
  void probability(double value) const;

 private:
  const char* op_;
};

}  // namespace tarn::ad
