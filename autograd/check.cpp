#include "autograd/check.h"

#include "core/check.h"

namespace tarn::ad {

void Check::required(std::initializer_list<Argument> arguments) const {
  for (const auto& [name, tensor] : arguments) {
    TARN_CHECK_SHAPE(tensor.defined(), op_, ": ", name, " is undefined");
  }
}

void Check::alike(std::initializer_list<Argument> arguments) const {
  const Argument& first = *arguments.begin();
  required({first});
  for (const auto& [name, tensor] : arguments) {
    if (!tensor.defined()) continue;
    TARN_CHECK_AS(DTypeError, tensor.dtype() == first.tensor.dtype(), op_, ": ", name, " ", tensor,
                  " must be ", name_of(first.tensor.dtype()), " as ", first.name, " ", first.tensor,
                  " is");
    device({name, tensor}, first.tensor.device());
  }
}

void Check::floats(std::initializer_list<Argument> arguments) const {
  const auto& [name, tensor] = *arguments.begin();
  required({{name, tensor}});
  TARN_CHECK_AS(DTypeError, tensor.dtype() == DType::f32 || tensor.dtype() == DType::f64, op_, ": ",
                name, " ", tensor, " must be f32 or f64");
  alike(arguments);
}

void Check::dtype(const Argument& argument, DType expected) const {
  const auto& [name, tensor] = argument;
  TARN_CHECK_AS(DTypeError, !tensor.defined() || tensor.dtype() == expected, op_, ": ", name, " ",
                tensor, " must be ", name_of(expected));
}

void Check::device(const Argument& argument, Device expected) const {
  const auto& [name, tensor] = argument;
  TARN_CHECK_AS(DeviceError, !tensor.defined() || tensor.device() == expected, op_, ": ", name, " ",
                tensor, " is on ", tensor.device(), " and must be on ", expected);
}

void Check::rank(const Argument& argument, int expected, const char* layout) const {
  const auto& [name, tensor] = argument;
  TARN_CHECK_SHAPE(!tensor.defined() || tensor.rank() == expected, op_, ": ", name, " ", tensor,
                   " must be ", layout);
}

void Check::shape(const Argument& argument, const Shape& expected) const {
  const auto& [name, tensor] = argument;
  TARN_CHECK_SHAPE(!tensor.defined() || tensor.shape() == expected, op_, ": ", name, " ", tensor,
                   " must be ", expected);
}

void Check::widths(const Argument& argument, int count) const {
  const auto& [name, tensor] = argument;
  if (!tensor.defined()) return;
  TARN_CHECK_SHAPE(tensor.rank() >= count, op_, ": ", name, " ", tensor, " must have ", count,
                   " dimensions or more");
  for (int d = 1; d <= count; ++d) {
    TARN_CHECK_SHAPE(tensor.size(-d) > 0, op_, ": ", name, " ", tensor,
                     " has a dimension of size 0, which must be 1 or more");
  }
}

void Check::contiguous(std::initializer_list<Argument> arguments) const {
  for (const auto& [name, tensor] : arguments) {
    TARN_CHECK_SHAPE(!tensor.defined() || tensor.is_contiguous(), op_, ": ", name, " ", tensor,
                     " with strides ", tensor.strides(), " must be contiguous");
  }
}

void Check::contiguous_rows(std::initializer_list<Argument> arguments) const {
  for (const auto& [name, tensor] : arguments) {
    if (!tensor.defined() || tensor.rank() == 0) continue;
    TARN_CHECK_SHAPE(tensor.size(-1) <= 1 || tensor.strides()[-1] == 1, op_, ": ", name, " ",
                     tensor, " with strides ", tensor.strides(),
                     " must be contiguous in the last dimension");
  }
}

void Check::heads(std::initializer_list<Argument> arguments) const {
  for (const Argument& argument : arguments) {
    rank(argument, 4, "[N, L, H, width]");
    widths(argument, 2);
    contiguous_rows({argument});
  }
}

void Check::integers(const Argument& argument, const Shape& expected, Device on) const {
  required({argument});
  dtype(argument, DType::i32);
  device(argument, on);
  shape(argument, expected);
  contiguous({argument});
}

void Check::range(const Argument& argument, std::int64_t first, std::int64_t last) const {
  const auto& [name, tensor] = argument;
  if (tensor.device().kind != DeviceKind::cpu) return;
  const std::int32_t* values = tensor.data<std::int32_t>();
  for (std::int64_t i = 0; i < tensor.elements(); ++i) {
    TARN_CHECK_AS(IndexError, values[i] >= first && values[i] <= last, op_, ": ", name, " ", tensor,
                  " holds ", values[i], " (element ", i, "); it must be in [", first, ", ", last,
                  "]");
  }
}

void Check::lengths(const Argument& argument, std::int64_t batch, std::int64_t longest,
                    Device device) const {
  if (!argument.tensor.defined()) return;
  integers(argument, {batch}, device);
  range(argument, 0, longest);
}

void Check::probability(double value) const {
  TARN_CHECK(value >= 0 && value < 1, op_, ": the probability of dropout is ", value,
             "; it must be in [0, 1)");
}

}  // namespace tarn::ad
