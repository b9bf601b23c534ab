#include "kernels/sample.h"

#include <algorithm>

#include "kernels/common/sample.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

constexpr std::int64_t kRows = 16;  // a piece of parallel work: a few microseconds

// Draws index k with probability softmax(logits / temperature)[k]; u is uniform in (0, 1).
template <class T>
std::int64_t choose(const T* logits, std::int64_t count, double temperature, double u) {
  const std::int64_t likeliest = std::max_element(logits, logits + count) - logits;
  if (temperature == 0) return likeliest;
  const double top = static_cast<double>(logits[likeliest]);
  const auto weight = [&](std::int64_t k) {
    return weight_of(static_cast<double>(logits[k]), top, temperature);
  };
  double total = 0;
  for (std::int64_t k = 0; k < count; ++k) total += weight(k);
  double left = u * total;
  for (std::int64_t k = 0; k < count; ++k) {
    left -= weight(k);
    if (left < 0) return k;
  }
  return likeliest;  // rounding left the rest just above 0
}

// The address of either kernel's arguments.
template <class Args>
RngAddress address_of(const Args& args) {
  RngAddress address = args.address;
  if (args.device_step.defined()) {
    address.step = static_cast<std::uint32_t>(*args.device_step.template data<std::int32_t>());
  }
  return address;
}

template <class T>
std::int32_t draw(const T* row, std::int64_t components, const SampleLogisticMixtureArgs& args,
                  const std::array<std::uint32_t, 4>& bits) {
  const std::int64_t k = choose(row, components, args.temperature, open_uniform(bits[0]));
  const auto mean = static_cast<double>(row[components + k]);
  if (args.temperature == 0) return value_of(mean);
  const double scale = scale_of(static_cast<double>(row[2 * components + k]), args.compat);
  return logistic_value(mean, args.temperature * scale, open_uniform(bits[1]));
}

// values[r] = body(row r, block of row r), for outputs of type T.
template <class T, class Body>
void for_rows(const Tensor& outputs, const Tensor& values, std::uint32_t first, const Body& body) {
  const std::int64_t width = outputs.size(-1);
  const T* rows = outputs.data<T>();
  std::int32_t* to = values.mutable_data<std::int32_t>();
  parallel_chunks(values.elements(), kRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      to[r] = body(rows + r * width, first + static_cast<std::uint32_t>(r));
    }
  });
}

}  // namespace

void sample_logistic_mixture(const SampleLogisticMixtureArgs& args) {
  const std::int64_t components = args.outputs.size(-1) / 3;
  const RngAddress address = address_of(args);
  with_float_type(args.outputs.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_rows<T>(args.outputs, args.values, args.first, [&](const T* row, std::uint32_t block) {
      return draw(row, components, args, random_block(address, block));
    });
  });
}

void sample_categorical(const SampleCategoricalArgs& args) {
  const std::int64_t count = args.logits.size(-1);
  const RngAddress address = address_of(args);
  with_float_type(args.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_rows<T>(args.logits, args.values, args.first, [&](const T* row, std::uint32_t block) {
      const double u = open_uniform(random_block(address, block)[0]);
      return static_cast<std::int32_t>(choose(row, count, args.temperature, u));
    });
  });
}

}  // namespace tarn::kernels::cpu
