// A linear layer on a few rows, whose weight is packed in panels (kernels/encoder_step.h), and what
// comes before it: a residual connection and a normalisation, which each block does for itself,
// since to wait for another launch would take longer.
#pragma once

#include <cmath>

#include "kernels/common/bf16.h"
#include "kernels/common/unary.h"
#include "kernels/cuda/warps.h"
#include "kernels/encoder_step.h"

namespace tarn::kernels::cuda {

// A row of x + branch, or of x where there is no branch.
template <class T>
struct SummedRow {
  const T *x, *branch;

  __device__ T operator[](std::int64_t i) const {
    return branch == nullptr ? x[i] : x[i] + branch[i];
  }
};

// normal = (row - mean) * rstd * weight + bias, for each row of x + branch.
template <class T>
struct AddNorm {
  const T* branch = nullptr;                   // null: nothing is added
  const T *weight = nullptr, *bias = nullptr;  // null: nothing is normalised either
  T eps = 0;
  T* normal = nullptr;  // [rows, width]

  AddNorm() = default;
  AddNorm(const NormWeights& norm, const T* added, T* result)
      : branch(added),
        weight(norm.weight.data<T>()),
        bias(norm.bias.data<T>()),
        eps(static_cast<T>(norm.eps)),
        normal(result) {}

  __device__ SummedRow<T> row(const T* x, std::int64_t r, std::int64_t width) const {
    return {x + r * width, branch == nullptr ? nullptr : branch + r * width};
  }
};

// The moments of a row, found by the warp that calls.
template <class T>
struct RowMoments {
  T mean = 0, rstd = 1;

  __device__ RowMoments() {}
  __device__ RowMoments(const SummedRow<T>& row, T eps, std::int64_t width) {
    T total = 0;
    for (std::int64_t i = lane(); i < width; i += kWarp) total += row[i];
    mean = warp_sum(total) / static_cast<T>(width);
    T squares = 0;
    for (std::int64_t i = lane(); i < width; i += kWarp) {
      squares += (row[i] - mean) * (row[i] - mean);
    }
    rstd = T(1) / std::sqrt(warp_sum(squares) / static_cast<T>(width) + eps);
  }
};

template <class T>
__device__ T normalised(const SummedRow<T>& row, const RowMoments<T>& moments,
                        const AddNorm<T>& norm, std::int64_t i) {
  return (row[i] - moments.mean) * moments.rstd * norm.weight[i] + norm.bias[i];
}

// Weights of one output for the inputs of a group: one, or two that are stored in bf16.
template <class T>
__device__ void read_weights(const T* panel, std::int64_t group, T* weights) {
  weights[0] = panel[group * kPanelColumns + lane()];
}
template <class T>
__device__ void read_weights(const Bf16* panel, std::int64_t group, T* weights) {
  const Bf16* pair = panel + (group * kPanelColumns + lane()) * 2;
  for (int i = 0; i < 2; ++i) {
    weights[i] = widened(pair[i]);
  }
}

// out [rows, outputs] = activation(x panels + bias) with x [rows, in], after `norm` if there is
// one. A block has a panel and kStepRows rows: its warps share the inputs, and a thread has one
// output. Sums are added in an order that depends on `in` alone, so that the bits of a row do not
// depend on the rows beside it.
constexpr int kStepRows = kWarps;

template <class T, class Stored>
__global__ void panel_product(const T* x, AddNorm<T> norm, const Stored* panels, const T* bias,
                              T* out, Unary activation, std::int64_t rows, std::int64_t in,
                              std::int64_t outputs) {
  constexpr int kGroup = sizeof(T) / sizeof(Stored) == 2 ? 2 : 1;
  constexpr int kInputs = 256;  // that are in shared memory at a time
  TARN_SHARED(T[kStepRows][kInputs], tile);
  TARN_SHARED(T[kWarps][kStepRows][kWarp], partial);
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const std::int64_t first = std::int64_t{blockIdx.y} * kStepRows;
  const std::int64_t groups = (in + kGroup - 1) / kGroup;
  const Stored* panel = panels + blockIdx.x * groups * kGroup * kPanelColumns;

  // A warp brings one row.
  const std::int64_t own = first + warp;
  const SummedRow<T> row = norm.row(x, own, in);
  const bool normalises = norm.weight != nullptr;
  RowMoments<T> moments;
  if (own < rows && normalises) moments = RowMoments<T>(row, norm.eps, in);
  T totals[kStepRows] = {};
  for (std::int64_t begin = 0; begin < in; begin += kInputs) {
    for (int i = lane(); i < kInputs; i += kWarp) {
      const std::int64_t k = begin + i;
      T value = 0;  // also behind an odd number of inputs, where a pair ends
      if (own < rows && k < in) {
        value = normalises ? normalised(row, moments, norm, k) : row[k];
        if (normalises && blockIdx.x == 0) norm.normal[own * in + k] = value;
      }
      tile[warp][i] = value;
    }
    __syncthreads();
    const std::int64_t end = begin + kInputs < in ? begin + kInputs : in;
    for (std::int64_t g = begin / kGroup + warp; g * kGroup < end; g += kWarps) {
      T weights[kGroup];
      read_weights(panel, g, weights);
      for (int r = 0; r < kStepRows; ++r) {
        for (int i = 0; i < kGroup; ++i) {
          totals[r] += weights[i] * tile[r][g * kGroup + i - begin];
        }
      }
    }
    __syncthreads();
  }
  for (int r = 0; r < kStepRows; ++r) partial[warp][r][lane()] = totals[r];
  __syncthreads();
  const std::int64_t output = std::int64_t{blockIdx.x} * kPanelColumns + lane();
  if (own >= rows || output >= outputs) return;
  T total = bias[output];
  for (int w = 0; w < kWarps; ++w) total += partial[w][warp][lane()];
  out[own * outputs + output] = unary(activation, total);
}

}  // namespace tarn::kernels::cuda
