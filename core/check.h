// Errors and checks. Checks stand at public edges (ops, modules, config, files); a failed one
// throws an exception whose message says which op or file, which argument, what it was and what was
// wanted.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace tarn {

// Anything tarn throws. The program exits with 1 for a plain Error: something failed.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What the person at the keyboard can mend: a config, a file, a device. The program exits with 2.
class UserError : public Error {
 public:
  using Error::Error;
};

class ConfigError : public UserError {  // names file, line and key
 public:
  using UserError::UserError;
};
class IoError : public UserError {  // names the file and what the system said
 public:
  using UserError::UserError;
};
class DeviceError : public UserError {  // names the device and why it cannot be had
 public:
  using UserError::UserError;
};
class ShapeError : public Error {  // names the op, the tensors and their shapes
 public:
  using Error::Error;
};
class IndexError : public ShapeError {  // names the tensor, the element and the range
 public:
  using ShapeError::ShapeError;
};
class DTypeError : public Error {  // names the op, the tensor, its type and the one that was wanted
 public:
  using Error::Error;
};

namespace detail {

void append_number(std::string& out, double value);  // the shortest text of about six digits

// How a value is written into a message. A type with a member `str() const` is written by it.
template <class T>
void append(std::string& out, const T& value) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    out += std::string_view(value);
  } else if constexpr (requires { value.str(); }) {
    out += value.str();
  } else if constexpr (std::is_floating_point_v<T>) {
    append_number(out, static_cast<double>(value));
  } else {
    out += std::to_string(value);
  }
}

}  // namespace detail

// The parts written one after another: message("query ", shape, " has ", 3, " dimensions").
template <class... Parts>
std::string message(const Parts&... parts) {
  std::string out;
  (detail::append(out, parts), ...);
  return out;
}

// Throws E with the parts as its message; out of line, so that a check costs one compare.
template <class E, class... Parts>
[[noreturn, gnu::noinline, gnu::cold]] void fail(const Parts&... parts) {
  throw E(message(parts...));
}

}  // namespace tarn

#define TARN_CHECK_AS(Exception, condition, ...) \
  do {                                           \
    if (!(condition)) [[unlikely]]               \
      ::tarn::fail<Exception>(__VA_ARGS__);      \
  } while (false)

#define TARN_CHECK(condition, ...) TARN_CHECK_AS(::tarn::Error, condition, __VA_ARGS__)
#define TARN_CHECK_SHAPE(condition, ...) TARN_CHECK_AS(::tarn::ShapeError, condition, __VA_ARGS__)
