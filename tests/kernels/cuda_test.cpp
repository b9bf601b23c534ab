// Kernels of CUDA devices against the CPU's, on the same inputs: sizes that fill no block, one, and
// several. Where there is no such device, they run on the CPU alone and compare nothing.
#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <vector>

#include "core/transfer.h"
#include "kernels/copy.h"
#include "kernels/dropout.h"
#include "kernels/embedding.h"
#include "kernels/gemm.h"
#include "kernels/optimizer.h"
#include "kernels/table.h"
#include "kernels/unary.h"
#include "tests/support/devices.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::random_tensor;
using Tensors = std::vector<Tensor>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const std::vector<std::int64_t> kSizes = {0, 1, 63, 100, 257, 40000};

// Runs a call of kernels on every device and wants the CPU's results within `tolerance`, in units
// of the largest element, and the same bits each time. The call makes its inputs itself, since it
// may overwrite them.
void compare(DType dtype, double tolerance, const std::function<Tensors(Device)>& call) {
  CAPTURE(name_of(dtype));
  Tensors wanted, first;  // of the CPU, and of the first run elsewhere
  test::for_each_device([&](Device device) {
    Tensors results = call(device);
    for (Tensor& t : results) t = test::on_host(t);
    if (device == Device::cpu()) {
      wanted = results;
      return;
    }
    REQUIRE(results.size() == wanted.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      CAPTURE(i);
      CHECK(test::relative_difference(results[i], wanted[i]) <= tolerance);
      if (!first.empty()) CHECK(test::max_abs_difference(results[i], first[i]) == 0);
    }
    first = results;
  });
}

double rounding(DType dtype) { return dtype == DType::f32 ? 1e-6 : 1e-14; }

const std::vector<DType> kFloats = {DType::f32, DType::f64};

TEST_CASE("cuda: copy and fill") {
  for (const DType dtype : kFloats) {
    for (const std::int64_t n : kSizes) {
      CAPTURE(n);
      for (const double beta : {0.0, 0.5}) {
        compare(dtype, rounding(dtype), [&](Device device) {
          const Tensor from = copy_to(random_tensor({n, 3, 2}, dtype, "from"), device);
          const Tensor to = copy_to(random_tensor({2, n, 3}, dtype, "to"), device);
          run(&Table::copy, device,
              {.from = from.transpose(1, 2).transpose(0, 1), .to = to, .beta = beta});
          const Tensor filled = Tensor::empty({n}, dtype, device);
          run(&Table::fill, device, {.to = filled, .value = 2.5});
          return Tensors{to, filled};
        });
      }
    }
  }
  std::vector<double> counted(63 * 5);
  for (std::size_t i = 0; i < counted.size(); ++i) counted[i] = static_cast<double>(i % 251);
  for (const DType dtype : {DType::i64, DType::i32, DType::u8}) {
    compare(dtype, 0, [&](Device device) {
      const Tensor from = copy_to(test::from_vector({63, 5}, counted, dtype), device);
      const Tensor to = Tensor::empty({5, 63}, dtype, device);
      run(&Table::copy, device, {.from = from.transpose(0, 1), .to = to});
      return Tensors{to};
    });
  }
}

TEST_CASE("cuda: unary, of inputs with outer strides, and a NaN stays one") {
  for (const DType dtype : kFloats) {
    for (const Unary op : {Unary::identity, Unary::relu, Unary::gelu, Unary::elu_plus_one}) {
      CAPTURE(static_cast<int>(op));
      for (const std::int64_t n : kSizes) {
        compare(dtype, rounding(dtype), [&](Device device) {
          const Tensor x = copy_to(random_tensor({3, n, 5}, dtype, "x"), device).transpose(0, 1);
          const Tensor plain = Tensor::empty({n, 3, 5}, dtype, device);
          const Tensor out = Tensor::empty({n, 3, 5}, dtype, device);
          const Tensor grad = copy_to(random_tensor({n, 3, 5}, dtype, "grad"), device);
          const Tensor grad_x = copy_to(random_tensor({n, 3, 5}, dtype, "old"), device);
          run(&Table::copy, device, {.from = x, .to = plain});
          run(&Table::unary_forward, device, {.x = x, .out = out, .op = op});
          run(&Table::unary_backward, device,
              {.saved = backward_needs_input(op) ? plain : out,
               .grad_out = grad,
               .grad_x = grad_x,
               .op = op,
               .beta = 0.5});
          return Tensors{out, grad_x};
        });
      }
      for (const Device device : test::devices()) {
        const Tensor x =
            copy_to(test::full({7}, dtype, std::numeric_limits<double>::quiet_NaN()), device);
        const Tensor out = Tensor::empty({7}, dtype, device);
        run(&Table::unary_forward, device, {.x = x, .out = out, .op = op});
        CHECK(std::isnan(test::max_abs(copy_to(out, Device::cpu()))));
      }
    }
  }
}

TEST_CASE("cuda: dropout keeps the elements that the CPU keeps") {
  for (const DType dtype : kFloats) {
    for (const std::int64_t n : kSizes) {
      for (const double beta : {0.0, 0.5}) {
        compare(dtype, beta == 0 ? 0 : rounding(dtype), [&](Device device) {
          const Tensor x = copy_to(random_tensor({n}, dtype, "x"), device);
          const Tensor out = copy_to(random_tensor({n}, dtype, "old"), device);
          run(&Table::dropout, device,
              {.x = x, .out = out, .probability = 0.3, .address = {5, 6, 7}, .beta = beta});
          return Tensors{out};
        });
      }
    }
  }
}

TEST_CASE("cuda: embedding, and its gradient of tokens that repeat") {
  for (const DType dtype : kFloats) {
    for (const std::int64_t n : {0, 1, 63, 257}) {
      compare(dtype, rounding(dtype), [&](Device device) {
        constexpr std::int64_t kVocabulary = 7, kWidth = 33;
        std::vector<std::int32_t> tokens(static_cast<std::size_t>(n));
        for (std::size_t i = 0; i < tokens.size(); ++i) {
          tokens[i] = static_cast<std::int32_t>(i * i % kVocabulary);
        }
        const Tensor t = from_values<std::int32_t>(tokens, {n}, device);
        const Tensor weight = copy_to(random_tensor({kVocabulary, kWidth}, dtype, "w"), device);
        const Tensor out = Tensor::zeros({n, kWidth + 2}, dtype, device);
        run(&Table::embedding_forward, device,
            {.tokens = t, .weight = weight, .out = out.slice(1, 1, kWidth)});
        const Tensor grad = copy_to(random_tensor({n, kWidth + 2}, dtype, "g"), device);
        run(&Table::embedding_backward, device,
            {.tokens = t,
             .grad_out = grad.slice(1, 2, kWidth),
             .grad_weight = weight,
             .beta = 0.5});
        return Tensors{out, weight};
      });
    }
  }
}

TEST_CASE("cuda: sums of squares and counts of what is not finite") {
  for (const DType dtype : kFloats) {
    for (const std::int64_t n : kSizes) {
      compare(dtype, 1e-14, [&](Device device) {
        const Tensor x = random_tensor({n}, dtype, "x");
        const Tensor squares = Tensor::zeros({3}, DType::f64, device);
        const Tensor bad = Tensor::zeros({1}, DType::f64, device);
        run(&Table::sum_of_squares, device,
            {.x = copy_to(x, device), .total = squares, .index = 1});
        for (const std::int64_t i : {0, 40, 99, 39999}) {
          if (i < n) test::set(x, i, i % 2 == 0 ? kInfinity : std::nan(""));
        }
        run(&Table::count_nonfinite, device, {.x = copy_to(x, device), .total = bad});
        return Tensors{squares, bad};
      });
    }
  }
}

TEST_CASE("cuda: the optimizers' updates") {
  for (const DType dtype : kFloats) {
    for (const std::int64_t n : kSizes) {
      for (const bool adaptive : {true, false}) {
        compare(dtype, rounding(dtype), [&](Device device) {
          const auto make = [&](const char* name) {
            return copy_to(random_tensor({n}, dtype, name), device);
          };
          const Tensor value = make("value"), grad = make("grad"), m = make("m");
          const Tensor v = copy_to(test::full({n}, dtype, 0.5), device), velocity = make("u");
          run(&Table::adam_step, device,
              {.value = value,
               .grad = grad,
               .m = m,
               .v = v,
               .step_size = 0.01,
               .v_scale = 1.5,
               .decay = 0.001,
               .l2 = 0.1,
               .grad_scale = 0.7,
               .adaptive = adaptive});
          run(&Table::sgd_step, device,
              {.value = value,
               .grad = grad,
               .velocity = velocity,
               .lr = 0.1,
               .momentum = 0.9,
               .l2 = 0.1,
               .grad_scale = 0.7});
          return Tensors{value, m, v, velocity};
        });
      }
    }
  }
}

TEST_CASE("cuda: a kernel that a device lacks is named") {
  for (const Device device : test::devices()) {
    if (device == Device::cpu()) continue;
    const Tensor x = Tensor::zeros({2, 2}, DType::f32, device);
    CHECK_THROWS_WITH_AS(run(&Table::gemm, device, {.a = x, .b = x, .out = x}),
                         doctest::Contains("gemm: no cuda kernel"), DeviceError);
  }
}

}  // namespace
}  // namespace tarn::kernels
