// Kernels of CUDA devices against the CPU's, on the same inputs: sizes that fill no block, one, and
// several. Where there is no such device, they run on the CPU alone and compare nothing.
#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "core/transfer.h"
#include "kernels/copy.h"
#include "kernels/dropout.h"
#include "kernels/embedding.h"
#include "kernels/optimizer.h"
#include "kernels/table.h"
#include "kernels/unary.h"
#include "tests/support/compare_devices.h"
#include "tests/support/devices.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::compare;
using test::kFloats;
using test::random_tensor;
using test::rounding;
using Tensors = std::vector<Tensor>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const std::vector<std::int64_t> kSizes = {0, 1, 63, 100, 257, 40000};

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
        if (n == kSizes.back() && op != Unary::gelu) continue;  // one walks the grid as all do
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
    for (const std::int64_t n : {0, 1, 63, 257, 1024, 2100}) {
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

// Tensors of all sizes, twice more than one launch takes.
Tensors many_tensors(DType dtype, Device device, const std::string& name) {
  Tensors tensors;
  for (int i = 0; i < 129; ++i) {
    const std::int64_t n = i < 12 ? kSizes[static_cast<std::size_t>(i) % kSizes.size()] : i;
    tensors.push_back(copy_to(random_tensor({n}, dtype, message(name, i)), device));
  }
  return tensors;
}

TEST_CASE("cuda: sums of squares and counts of what is not finite") {
  for (const DType dtype : kFloats) {
    compare(dtype, 1e-14, [&](Device device) {
      Tensors x = many_tensors(dtype, device, "x");
      const Tensor squares = Tensor::zeros({131}, DType::f64, device);
      const Tensor bad = Tensor::zeros({129}, DType::f64, device);
      run(&Table::sum_of_squares, device, {.x = x, .totals = squares, .first = 1});
      for (Tensor& t : x) {
        t = copy_to(t, Device::cpu());
        for (const std::int64_t i : {0, 40, 99, 39999}) {
          if (i < t.elements()) test::set(t, i, i % 2 == 0 ? kInfinity : std::nan(""));
        }
        t = copy_to(t, device);
      }
      run(&Table::count_nonfinite, device, {.x = x, .totals = bad});
      return Tensors{squares, bad};
    });
  }
}

TEST_CASE("cuda: what clipping leaves of each gradient, and when updates stop") {
  for (const bool per_tensor : {true, false}) {
    for (const double max_norm : {0.0, 1.0}) {
      for (const double last : {0.5, kInfinity}) {
        compare(DType::f64, 1e-14, [&](Device device) {
          const Tensor squares = test::full({130}, DType::f64, 3);
          test::set(squares, 64, 0.25);
          const Tensor watched = test::full({3}, DType::f64, last);
          const Tensor scales = Tensor::zeros({130}, DType::f64, device);
          const Tensor norm = Tensor::zeros({1}, DType::f64, device);
          const Tensor stopped = Tensor::zeros({1}, DType::f64, device);
          run(&Table::clip_scales, device,
              {.squares = copy_to(squares, device),
               .watched = copy_to(watched, device),
               .max_norm = max_norm,
               .per_tensor = per_tensor,
               .scales = scales,
               .norm = norm,
               .stopped = stopped});
          return Tensors{scales, norm, stopped};
        });
      }
    }
  }
}

TEST_CASE("cuda: the optimizers' updates, and none where they are stopped") {
  for (const DType dtype : kFloats) {
    for (const bool adaptive : {true, false}) {
      for (const double stopped : {0.0, 1.0}) {
        compare(dtype, rounding(dtype), [&](Device device) {
          const Tensors value = many_tensors(dtype, device, "value");
          const Gradients gradients{
              .grad = many_tensors(dtype, device, "grad"),
              .scales = copy_to(random_tensor({129}, DType::f64, "scales"), device),
              .stopped = copy_to(test::full({1}, DType::f64, stopped), device)};
          const Tensors m = many_tensors(dtype, device, "m");
          const Tensors velocity = many_tensors(dtype, device, "u");
          Tensors v = many_tensors(dtype, device, "v");
          for (Tensor& t : v) t = copy_to(test::full(t.shape(), dtype, 0.5), device);
          run(&Table::adam_step, device,
              {.value = value,
               .gradients = gradients,
               .m = m,
               .v = v,
               .step_size = 0.01,
               .v_scale = 1.5,
               .decay = 0.001,
               .l2 = 0.1,
               .adaptive = adaptive});
          run(&Table::sgd_step, device,
              {.value = value,
               .gradients = gradients,
               .velocity = velocity,
               .lr = 0.1,
               .momentum = 0.9,
               .l2 = 0.1});
          Tensors all;
          for (const Tensors& list : {value, m, v, velocity}) {
            all.insert(all.end(), list.begin(), list.end());
          }
          return all;
        });
      }
    }
  }
}

}  // namespace
}  // namespace tarn::kernels
