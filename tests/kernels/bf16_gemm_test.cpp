// Products of bf16 against their f64 reference, on every instruction set; and what the emulation
// promises of the processor's instruction.
#include <doctest/doctest.h>

#include <limits>

#include "core/check.h"
#include "kernels/backend.h"
#include "kernels/common/bf16.h"
#include "kernels/gemm.h"
#include "kernels/table.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/random_tensor.h"
#include "tests/support/threads.h"

namespace tarn::kernels {
namespace {

using test::get;
using test::random_tensor;
using test::to_vector;

constexpr Device kCpu = Device::cpu();

struct Sizes {
  std::int64_t rows, columns, inner;
};
constexpr Sizes kSizes[] = {{1, 1, 1},      {63, 100, 257}, {257, 63, 100}, {100, 257, 63},
                            {6, 64, 256},   {13, 65, 511},  {1, 257, 1},    {97, 1, 2049},
                            {7, 129, 4100}, {7, 65, 0}};

GemmArgs problem(const Sizes& s, bool transpose_a, bool transpose_b) {
  const auto matrix = [](std::int64_t rows, std::int64_t columns, bool transpose,
                         const char* name) {
    return transpose ? random_tensor({columns, rows}, DType::f32, name)
                     : random_tensor({rows, columns}, DType::f32, name);
  };
  return {.a = matrix(s.rows, s.inner, transpose_a, "a"),
          .b = matrix(s.inner, s.columns, transpose_b, "b"),
          .out = random_tensor({s.rows, s.columns}, DType::f32, "out"),
          .transpose_a = transpose_a,
          .transpose_b = transpose_b,
          .compute = Compute::bf16_emulated};
}

double rounded(double x) {
  return static_cast<double>(widened(rounded_to_bf16(static_cast<float>(x))));
}

// The sum of the products of rounded numbers, and of their sizes.
struct Reference {
  double sum = 0, size = 0;
};
Reference reference(const GemmArgs& args, std::int64_t row, std::int64_t column,
                    const std::vector<double>& a, const std::vector<double>& b) {
  const std::int64_t inner = args.a.size(args.transpose_a ? 0 : 1);
  Reference result;
  for (std::int64_t k = 0; k < inner; ++k) {
    const auto at = [&](const Tensor& x, const std::vector<double>& values, std::int64_t r,
                        std::int64_t c) {
      return rounded(values[static_cast<std::size_t>(r * x.size(1) + c)]);
    };
    const double product = (args.transpose_a ? at(args.a, a, k, row) : at(args.a, a, row, k)) *
                           (args.transpose_b ? at(args.b, b, column, k) : at(args.b, b, k, column));
    result.sum += product;
    result.size += std::abs(product);
  }
  return result;
}

std::vector<Compute> computes() {
  std::vector<Compute> all{Compute::bf16_emulated};
  if (cpu_has_bf16_products()) all.push_back(Compute::bf16);
  return all;
}

void check_problem(GemmArgs args) {
  const std::vector<double> a = to_vector(args.a), b = to_vector(args.b);
  const std::vector<double> before = to_vector(args.out);
  run(&Table::gemm, kCpu, args);
  const std::vector<double> out = to_vector(args.out);
  double worst = 0;  // in units of what f32 sums may lose
  for (std::int64_t r = 0; r < args.out.size(0); ++r) {
    for (std::int64_t c = 0; c < args.out.size(1); ++c) {
      const auto i = static_cast<std::size_t>(r * args.out.size(1) + c);
      const Reference expected = reference(args, r, c, a, b);
      const double old = args.beta == 0 ? 0 : args.beta * before[i];
      const double allowed = 1e-5 * (expected.size + std::abs(old)) + 1e-30;
      worst = std::max(worst, std::abs(out[i] - old - expected.sum) / allowed);
    }
  }
  CHECK(worst < 1);
}

}  // namespace

TEST_CASE("bf16 gemm: equals the f64 product of the rounded matrices") {
  test::for_each_instruction_set([&](const char* name) {
    CAPTURE(name);
    for (const Compute compute : computes()) {
      for (const Sizes& s : kSizes) {
        CAPTURE(s.rows);
        CAPTURE(s.columns);
        CAPTURE(s.inner);
        for (int transposed = 0; transposed < 4; ++transposed) {
          CAPTURE(transposed);
          GemmArgs args = problem(s, (transposed & 1) != 0, (transposed & 2) != 0);
          args.compute = compute;
          args.beta = transposed == 3 ? 0.5 : transposed == 2 ? 1 : 0;
          check_problem(args);
        }
      }
    }
  });
}

TEST_CASE("bf16 gemm: windows of wider matrices, and what lies beside them stays") {
  const Sizes s{63, 100, 257};
  GemmArgs args = problem(s, false, true);
  const GemmArgs whole = args;
  const Tensor wide = random_tensor({63, 120}, DType::f32, "wide");
  const std::vector<double> before = to_vector(wide);
  args.out = wide.slice(1, 8, 100);
  run(&Table::gemm, kCpu, args);
  run(&Table::gemm, kCpu, whole);
  for (std::int64_t r = 0; r < 63; ++r) {
    for (std::int64_t c = 0; c < 120; ++c) {
      const bool inside = c >= 8 && c < 108;
      const double expected =
          inside ? get(whole.out, r * 100 + c - 8) : before[static_cast<std::size_t>(r * 120 + c)];
      REQUIRE(get(wide, r * 120 + c) == expected);
    }
  }
}

TEST_CASE("bf16 gemm: any number of threads and any instructions give the same bits [thread]") {
  for (const Sizes& s : kSizes) {
    for (int transposed = 0; transposed < 4; ++transposed) {
      GemmArgs args = problem(s, (transposed & 1) != 0, (transposed & 2) != 0);
      std::vector<double> expected;
      test::for_each_instruction_set([&](const char* name) {
        CAPTURE(name);
        for (const Compute compute : computes()) {
          for (const std::int64_t threads : {1, 2, 3}) {
            CAPTURE(threads);
            const test::UseThreads use(threads);
            args.compute = compute;
            args.out = Tensor::empty({s.rows, s.columns}, DType::f32, kCpu);
            run(&Table::gemm, kCpu, args);
            if (expected.empty()) expected = to_vector(args.out);
            CHECK(to_vector(args.out) == expected);
          }
        }
      });
    }
  }
}

TEST_CASE("bf16 gemm: large numbers stay finite, what is not a number stays so") {
  for (const Compute compute : computes()) {
    GemmArgs args = problem({6, 64, 10}, false, false);
    args.compute = compute;
    test::fill(args.a, 1e30);
    test::fill(args.b, 1e7);
    run(&Table::gemm, kCpu, args);
    CHECK(get(args.out, 0) == doctest::Approx(1e38).epsilon(0.01));
    args.a.mutable_data<float>()[10] = std::numeric_limits<float>::quiet_NaN();  // row 1
    run(&Table::gemm, kCpu, args);
    CHECK(std::isnan(get(args.out, 64)));
    CHECK(!std::isnan(get(args.out, 0)));
  }
}

TEST_CASE("bf16 gemm: instructions that the processor lacks are refused") {
  const test::UseInstructionSet use("portable");
  CHECK(!cpu_has_bf16_products());
  GemmArgs args = problem({6, 64, 10}, false, false);
  args.compute = Compute::bf16;
  CHECK_THROWS_WITH_AS(run(&Table::gemm, kCpu, args), doctest::Contains("AVX512_BF16"),
                       DeviceError);
}

}  // namespace tarn::kernels
