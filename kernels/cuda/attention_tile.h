// Tiles of attention on the device: what softmax and LSH attention are made of. A block of threads
// computes the scores of a tile of queries and a tile of keys in registers, each thread four by
// four of them, and multiplies the weights, through shared memory, by values.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/cuda/tile_products.h"

namespace tarn::kernels::cuda {

// kRows queries, as many keys, and kColumns columns of what the weights are multiplied by. The
// threads form a square. Thread (x, y) has the scores of queries y + i * kSide and keys 4 x + j.
template <class T, int kRows, int kColumns>
struct AttentionTile {
  static constexpr int kSide = kRows / 4;
  static constexpr unsigned kBlock = kSide * kSide;
  static constexpr int kSlice = 32;               // columns of rows to multiply, in shared memory
  static constexpr int kEach = kColumns / kSide;  // columns of a thread's results
  static constexpr int kPack = kEach < 4 ? kEach : 4;
  static constexpr int kValueRows = kColumns > 64 ? kRows / 2 : kRows;  // in shared memory
  // Strides that are multiples of a pack and let the threads of a warp read without bank conflicts.
  static constexpr int kSliceStride = kSlice + 4, kWeightStride = kRows + 4;

  struct Operands {  // slices of queries and of keys, or rows of values
    alignas(16) T at[2 * kRows * kSliceStride];
  };
  struct Weights {  // [kRows, kRows]
    alignas(16) T at[kRows * kWeightStride];
  };
  static_assert(kValueRows * kColumns <= 2 * kRows * kSliceStride);

  static __device__ int x() { return static_cast<int>(threadIdx.x) % kSide; }
  static __device__ int y() { return static_cast<int>(threadIdx.x) / kSide; }
  static __device__ int query(int i) { return i * kSide + y(); }
  static __device__ int key(int j) { return 4 * x() + j; }
  // The column of a thread's result.
  static __device__ int column(int c) { return (c / kPack * kSide + x()) * kPack + c % kPack; }

  // products[i][j] = a(query(i)) . b(key(j)) over `width` columns.
  template <class A, class B>
  static __device__ void multiply(const A& a, const B& b, std::int64_t width, Operands& operands,
                                  T (&products)[4][4]) {
    T *of_a = operands.at, *of_b = operands.at + kRows * kSliceStride;
    // Key 4 x + j lies in row j * kSide + x, so that neighbours read from neighbouring rows.
    const auto permuted = [&b](int slot) { return b(slot % kSide * 4 + slot / kSide); };
    for (auto& row : products) {
      for (T& product : row) product = 0;
    }
    for (std::int64_t first = 0; first < width; first += kSlice) {
      __syncthreads();  // what the operands held before has been read
      load<kRows, kSlice>(a, first, width, of_a, kSliceStride);
      load<kRows, kSlice>(permuted, first, width, of_b, kSliceStride);
      __syncthreads();
      // Of queries and of keys, a thread has each kSide'th row.
      add_product_of_rows<1>(of_a + y() * kSliceStride, kSide * kSliceStride,
                             of_b + x() * kSliceStride, kSide * kSliceStride, kSlice, products);
    }
  }

  // Stores a thread's weights of query(i) for add_weighted.
  static __device__ void store(int i, const T (&row)[4], Weights& weights) {
    store_row(query(i), row, weights);
  }
  static __device__ void store_row(int r, const T (&row)[4], Weights& weights) {
    *reinterpret_cast<Quad<T>*>(weights.at + r * kWeightStride + key(0)) = {row[0], row[1], row[2],
                                                                            row[3]};
  }

  // sums[i][c] += sum over keys k of weights[query(i)][k] * values(k)[first + column(c)]. With
  // kTransposed, the values are of queries: sums[i][c] += sum over queries q of
  // weights[q][4 y + i] * values(q)[first + column(c)].
  template <bool kTransposed, class Values>
  static __device__ void add_weighted(const Weights& weights, const Values& values,
                                      std::int64_t first, std::int64_t width, Operands& operands,
                                      T (&sums)[4][kEach]) {
    for (int k0 = 0; k0 < kRows; k0 += kValueRows) {
      __syncthreads();  // the weights are stored, and the operands have been read
      const auto rows = [&](int k) { return values(k0 + k); };
      load<kValueRows, kColumns>(rows, first, width, operands.at, kColumns);
      __syncthreads();
      TARN_UNROLL(1)
      for (int k = 0; k < kValueRows; k += 4) {
        Quad<T> w[4];
        for (int i = 0; i < 4; ++i) {
          w[i] = load_quad(weights.at + (kTransposed ? (k0 + k + i) * kWeightStride + 4 * y()
                                                     : query(i) * kWeightStride + k0 + k));
        }
        for (int d = 0; d < 4; ++d) {
          for (int c = 0; c < kEach; c += kPack) {
            const auto v = load_pack<kPack>(operands.at + (k + d) * kColumns + column(c));
            for (int i = 0; i < 4; ++i) {
              const T weight = kTransposed ? w[d].at[i] : w[i].at[d];
              for (int e = 0; e < kPack; ++e) sums[i][c + e] += weight * v.at[e];
            }
          }
        }
      }
    }
  }

  // row[e] = beta * row[e] + add[c] for the thread's columns e = first + column(c).
  static __device__ void update(T beta, const T (&add)[kEach], T* row, std::int64_t first,
                                std::int64_t width) {
    TARN_UNROLL(8)
    for (int c = 0; c < kEach; ++c) {
      const std::int64_t e = first + column(c);
      if (e < width) row[e] = beta == T(0) ? add[c] : beta * row[e] + add[c];
    }
  }

  // Over the threads of a row of the square, which get the same bits.
  static __device__ T sum_of_row(T value) {
    for (int step = kSide / 2; step > 0; step /= 2) value += __shfl_xor_sync(~0U, value, step);
    return value;
  }
  static __device__ T max_of_row(T value) {
    for (int step = kSide / 2; step > 0; step /= 2) {
      const T other = __shfl_xor_sync(~0U, value, step);
      if (other > value) value = other;
    }
    return value;
  }

 private:
  // to[i][c] = rows(i)[first + c], or 0 where there is no such row or column.
  template <int kCount, int kWidth, class Rows>
  static __device__ void load(const Rows& rows, std::int64_t first, std::int64_t width, T* to,
                              int stride) {
    TARN_UNROLL(2)
    for (int i = static_cast<int>(threadIdx.x); i < kCount * kWidth; i += kBlock) {
      const int r = i / kWidth, c = i % kWidth;
      const T* row = rows(r);
      to[r * stride + c] = row != nullptr && first + c < width ? row[first + c] : T(0);
    }
  }
};

// The softmax of a row of scores that come a tile at a time (Milakov and Gimelshein, "Online
// normalizer calculation for softmax", 2018).
template <class Tile, class T>
struct OnlineSoftmax {
  T max = -std::numeric_limits<T>::infinity();
  T sum = 0;

  // Turns a thread's scores into exp(score - max), or 0 for keys that the row does not see, with
  // max and sum brought up to date. Returns what the results so far must be multiplied by.
  __device__ T add(T (&scores)[4], const bool (&seen)[4]) {
    T largest = max;
    for (int j = 0; j < 4; ++j) {
      if (seen[j] && scores[j] > largest) largest = scores[j];
    }
    largest = Tile::max_of_row(largest);
    T total = 0;
    for (int j = 0; j < 4; ++j) {
      scores[j] = seen[j] ? std::exp(scores[j] - largest) : T(0);
      total += scores[j];
    }
    const T rescale = max == largest ? T(1) : std::exp(max - largest);
    sum = sum * rescale + Tile::sum_of_row(total);
    max = largest;
    return rescale;
  }

  // Infinite where a row saw no key, so that exp(score - this) is 0.
  __device__ T log_sum_exp() const {
    return sum == 0 ? std::numeric_limits<T>::infinity() : max + std::log(sum);
  }
  // What makes weights of add's results: 0 for a row that saw no key.
  __device__ T share() const { return sum == 0 ? T(0) : 1 / sum; }
};

// Calls f(columns) with the columns of a tile, as a constant, that suit results of this width: 32,
// 64 or 128, as far as kMost. f64, which is for tests, has kMost / 4, or its registers would not
// suffice.
template <class T, int kMost, class F>
void with_tile_columns(std::int64_t width, const F& f) {
  if constexpr (sizeof(T) == 8) {
    f(std::integral_constant<int, kMost / 4>{});
  } else {
    if (width <= 32) return f(std::integral_constant<int, 32>{});
    if (width <= 64 || kMost == 64) return f(std::integral_constant<int, 64>{});
    f(std::integral_constant<int, kMost>{});
  }
}

}  // namespace tarn::kernels::cuda
