#include "kernels/gemm.h"

#include "bench/bench.h"
#include "kernels/backend.h"
#include "kernels/table.h"
#include "nn/init.h"
#include "train/run/progress.h"
#include "train/tasks/model.h"

namespace tarn::bench {
namespace {

Tensor random_matrix(std::int64_t rows, std::int64_t columns, const char* name, Device device) {
  return nn::initialise(nn::Init::uniform(1), {rows, columns}, {1, site_of(name), 0}, DType::f32,
                        device);
}

double product_seconds(const kernels::GemmArgs& args) {
  const Device device = args.out.device();
  return median_seconds(device, [&] { kernels::run(&kernels::Table::gemm, device, args); });
}

struct LinearSeconds {
  double forward, grad_input, grad_weight;
};

LinearSeconds time_linear(std::int64_t rows, std::int64_t in, std::int64_t out, Device device,
                          Compute compute) {
  const Tensor x = random_matrix(rows, in, "x", device);
  const Tensor weight = random_matrix(out, in, "weight", device);
  const Tensor y = random_matrix(rows, out, "y", device);
  return {
      product_seconds({.a = x, .b = weight, .out = y, .transpose_b = true, .compute = compute}),
      product_seconds({.a = y, .b = weight, .out = x, .compute = compute}),
      product_seconds({.a = y, .b = x, .out = weight, .transpose_a = true, .compute = compute})};
}

}  // namespace

double linear_layer_seconds(std::int64_t rows, std::int64_t in, std::int64_t out, Device device,
                            Compute compute) {
  const LinearSeconds seconds = time_linear(rows, in, out, device, compute);
  return seconds.forward + seconds.grad_input + seconds.grad_weight;
}

void gemm(const GemmOptions& options, Report& report) {
  struct Layer {
    std::int64_t in, out;
  };
  constexpr Layer kLayers[] = {{256, 256}, {256, 1024}, {1024, 256}};
  const Device device = parse_device(options.device);
  const Compute compute = train::compute_of({.compute = options.type});
  kernels::check_compute(compute, device);
  train::announce(device, options.type);
  for (const std::int64_t rows : options.rows) {
    for (const Layer& layer : kLayers) {
      const LinearSeconds seconds = time_linear(rows, layer.in, layer.out, device, compute);
      const double flops = 2.0 * static_cast<double>(rows * layer.in * layer.out);
      const auto add = [&](const char* pass, double s) {
        report.add({{"bench", "gemm"},
                    {"type", options.type},
                    {"pass", pass},
                    {"rows", rows},
                    {"in", layer.in},
                    {"out", layer.out},
                    {"threads", kernels::cpu_backend().threads},
                    {"ms", s * 1e3},
                    {"gflops", flops / s / 1e9}});
      };
      add("forward", seconds.forward);
      add("grad_input", seconds.grad_input);
      add("grad_weight", seconds.grad_weight);
    }
  }
}

}  // namespace tarn::bench
