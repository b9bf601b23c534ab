// Products of tiles in shared memory, each thread with a few rows by four columns of the result in
// registers. Tiles are read four elements at a time along their rows, which begin 16 bytes aligned.
#pragma once

#include "kernels/cuda/heads.h"

namespace tarn::kernels::cuda {

// A tile in shared memory. Four columns more than it holds keep the rows that threads read at once
// in different banks.
template <class T, int kRows, int kColumns>
struct Tile {
  static constexpr int kStride = kColumns + 4;
  alignas(16) T at[kRows][kStride];
};

// How kThreads threads share a result of kRows by kColumns: kAcross of them side by side, and as
// many as that leaves one below the other, each with kOfThread rows.
template <int kThreads, int kRows, int kColumns, int across = kColumns / 4>
struct Share {
  static constexpr int kAcross = across;
  static constexpr int kDown = kThreads / kAcross;
  static constexpr int kOfThread = kRows / kDown;
  static_assert(kDown * kOfThread == kRows);
};

// sums[r][c] += sum over k < depth of a[r * a_step + k] * b[k * b_stride + c].
template <class T, int kOfThread>
__device__ void add_product(const T* a, int a_step, const T* b, int b_stride, int depth,
                            T (&sums)[kOfThread][4]) {
  TARN_UNROLL(2)
  for (int k = 0; k < depth; k += 4) {
    Quad<T> x[kOfThread];
    for (int r = 0; r < kOfThread; ++r) x[r] = load_quad(a + r * a_step + k);
    for (int i = 0; i < 4; ++i) {
      const Quad<T> y = load_quad(b + (k + i) * b_stride);
      for (int r = 0; r < kOfThread; ++r) {
        for (int c = 0; c < 4; ++c) sums[r][c] += x[r].at[i] * y.at[c];
      }
    }
  }
}

// sums[r][c] += sum over k < depth of a[r * a_step + k] * b[c * b_step + k]; kUnroll times four k
// at once.
template <int kUnroll = 2, class T, int kOfThread, int kColumns>
__device__ void add_product_of_rows(const T* a, int a_step, const T* b, int b_step, int depth,
                                    T (&sums)[kOfThread][kColumns]) {
  TARN_UNROLL(kUnroll)
  for (int k = 0; k < depth; k += 4) {
    Quad<T> x[kOfThread];
    for (int r = 0; r < kOfThread; ++r) x[r] = load_quad(a + r * a_step + k);
    for (int c = 0; c < kColumns; ++c) {
      const Quad<T> y = load_quad(b + c * b_step + k);
      for (int r = 0; r < kOfThread; ++r) {
        for (int i = 0; i < 4; ++i) sums[r][c] += x[r].at[i] * y.at[i];
      }
    }
  }
}

// sums[r][c] += sum over k < depth of a[k * a_stride + r] * b[k * b_stride + c].
template <class T, int kOfThread>
__device__ void add_product_of_columns(const T* a, int a_stride, const T* b, int b_stride,
                                       int depth, T (&sums)[kOfThread][4]) {
  TARN_UNROLL(4)
  for (int k = 0; k < depth; ++k) {
    const Quad<T> y = load_quad(b + k * b_stride);
    for (int r = 0; r < kOfThread; ++r) {
      const T x = a[k * a_stride + r];
      for (int c = 0; c < 4; ++c) sums[r][c] += x * y.at[c];
    }
  }
}

}  // namespace tarn::kernels::cuda
