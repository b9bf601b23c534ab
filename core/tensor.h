// A Tensor is a value: a shape, strides and an offset over storage that its views share.
// It computes nothing; arithmetic is in kernels/ (raw) and autograd/ (recorded).
#pragma once

#include <cstdint>
#include <memory>

#include "core/check.h"
#include "core/device.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace tarn {

// Bytes on one device, from that device's allocator; freed with the last tensor that views them.
class Storage {
 public:
  Storage(std::int64_t bytes, Device device);
  // Ends the program where the allocator throws: memory is damaged or used up then.
  ~Storage();  // NOLINT(bugprone-exception-escape)
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* bytes() const { return bytes_; }
  std::int64_t size() const { return size_; }
  Device device() const { return device_; }

 private:
  std::byte* bytes_;
  std::int64_t size_;
  Device device_;
};

// Where a tensor stands on the tape that recorded it; inert to everything but autograd/.
struct GradSlot {
  std::uint32_t tape = 0;   // 0: on no tape
  std::uint32_t index = 0;  // 0: a view or a copy that no gradient comes back through
};

class Tensor {
 public:
  Tensor() = default;  // undefined: only defined() may be asked of it
  static Tensor empty(const Shape& shape, DType dtype, Device device);
  static Tensor zeros(const Shape& shape, DType dtype, Device device);
  static Tensor empty_like(const Tensor& other);  // contiguous, whatever other is

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  const Shape& strides() const { return strides_; }  // in elements
  int rank() const { return shape_.rank(); }
  std::int64_t size(int dim) const { return shape_[dim]; }  // dim < 0 counts from the end
  std::int64_t elements() const { return shape_.elements(); }
  std::int64_t bytes() const { return elements() * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_->device(); }
  bool is_contiguous() const;
  bool shares_storage_with(const Tensor& other) const { return storage_ == other.storage_; }

  // Views share storage and never copy; they throw ShapeError where only a copy would do.
  // The same elements in the same order; the one view that stays where it stands on a tape, since
  // its gradient is the same elements too. A recorded op refuses the other views of a recorded
  // tensor, because the gradient would end there: autograd/views.h has them as ops, and detach()
  // says that no gradient is wanted.
  Tensor view(const Shape& shape) const;
  Tensor transpose(int a, int b) const;
  Tensor slice(int dim, std::int64_t first, std::int64_t count) const;
  Tensor select(int dim, std::int64_t index) const;  // slice of one, that dimension dropped
  Tensor expand(const Shape& shape) const;           // dimensions of size 1 repeated, stride 0
  Tensor detach() const;                             // the same tensor, on no tape

  // First element, of type T or a DTypeError; a device pointer on CUDA.
  template <class T>
  const T* data() const {
    check_dtype(dtype_of<T>);
    return reinterpret_cast<const T*>(raw());
  }
  template <class T>
  T* mutable_data() const {  // const as a shared_ptr is: the handle stays, the elements change
    check_dtype(dtype_of<T>);
    return reinterpret_cast<T*>(raw());
  }
  std::byte* raw() const { return storage_->bytes() + offset_ * size_of(dtype_); }

  std::string str() const;  // "f32 [8, 784]", for messages

  GradSlot slot;

 private:
  void check_dtype(DType expected) const;
  Tensor without_ones() const;  // dimensions of size 1 dropped, whose strides mean nothing

  std::shared_ptr<Storage> storage_;
  Shape shape_, strides_;
  std::int64_t offset_ = 0;
  DType dtype_ = DType::f32;
};

}  // namespace tarn
