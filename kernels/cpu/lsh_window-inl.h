// What the passes of LSH attention share: a chunk gathered with the one before it, and its weights.
// See simd-inl.h for how this is included.

#if defined(TARN_KERNELS_CPU_LSH_WINDOW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TARN_KERNELS_CPU_LSH_WINDOW_INL_H_
#undef TARN_KERNELS_CPU_LSH_WINDOW_INL_H_
#else
#define TARN_KERNELS_CPU_LSH_WINDOW_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/cpu/blas.h"
#include "kernels/cpu/exp-inl.h"
#include "kernels/cpu/heads.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/lsh_attention.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {

// Added to the score of a position's own key, so that its weight is 0 if the position sees any
// other key. It is finite, so that the weight is 1 if it sees no other.
constexpr double kSelfScore = -1e9;

// Turns the scores of a row, over whole vectors, into exp(score - max) where the place of the key
// is at most `limit`, and into 0 elsewhere. Returns 1 / their sum. At least one place must be at
// most `limit`.
template <class T>
HWY_INLINE T exp_row(T* HWY_RESTRICT row, const T* HWY_RESTRICT places, std::int64_t width, T limit,
                     T masked_place) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto largest = hn::Set(d, -std::numeric_limits<T>::infinity());
  for (std::int64_t i = 0; i < width; i += lanes) {
    const auto place = hn::LoadU(d, places + i);
    auto score = hn::Load(d, row + i);
    const auto demoted = hn::Add(score, hn::Set(d, static_cast<T>(kSelfScore)));
    score = hn::IfThenElse(hn::Eq(place, hn::Set(d, masked_place)), demoted, score);
    score = hn::IfThenElse(hn::Le(place, hn::Set(d, limit)), score,
                           hn::Set(d, -std::numeric_limits<T>::infinity()));
    hn::Store(score, d, row + i);
    largest = hn::Max(largest, score);
  }
  largest = hn::MaxOfLanes(d, largest);
  auto total = hn::Zero(d);
  for (std::int64_t i = 0; i < width; i += lanes) {
    const auto weight = exp_or_nan(d, hn::Sub(hn::Load(d, row + i), largest));
    hn::Store(weight, d, row + i);
    total = hn::Add(total, weight);
  }
  return 1 / hn::GetLane(hn::SumOfLanes(d, total));
}

// A chunk of a head's positions in the order of a round, with the chunk before it: the rows that
// of its queries, the keys and values that they see, and the weights between them.
template <class T>
class Window {
 public:
  template <class Args>
  Window(const Args& a, std::int64_t n, std::int64_t h, Carver<T>& carve)
      : options_(a.options),
        query_(a.query, n, h),
        value_(a.value, n, h),
        length_(a.query.size(1)),
        valid_(valid_length(a.lengths, n, length_)),
        chunk_(chunk_of(a)),
        all_rounds_(a.order.size(2)),
        head_(n * a.query.size(2) + h),
        head_order_(a.order.template data<std::int32_t>() + head_ * all_rounds_ * length_),
        stride_(stride_of(chunk_)),
        inverse_norms_(carve.take(length_)),
        queries_(carve.take(chunk_ * query_.width)),
        keys_(carve.take(2 * chunk_ * query_.width)),
        values_(carve.take(2 * chunk_ * value_.width)),
        places_(carve.take(stride_)),
        weights_(carve.take_zeros(chunk_ * stride_)),
        inverse_sums_(carve.take(chunk_)) {
    for (std::int64_t l = 0; l < length_; ++l) {
      const T norm = std::sqrt(dot(query_.row(l), query_.row(l), query_.width));
      inverse_norms_[l] = norm == 0 ? T{0} : 1 / norm;
    }
  }

  // A chunk longer than the sequence is the sequence.
  template <class Args>
  static std::int64_t chunk_of(const Args& a) {
    return std::min(a.options.chunk, a.query.size(1));
  }
  // The stride of weights: whole vectors of keys.
  static std::int64_t stride_of(std::int64_t chunk) {
    return whole_vectors(hn::ScalableTag<T>(), 2 * chunk);
  }
  // Elements of scratch that it takes.
  template <class Args>
  static std::int64_t size_of(const Args& a) {
    const std::int64_t chunk = chunk_of(a), stride = stride_of(chunk);
    return Carver<T>::size(a.query.size(1)) + Carver<T>::size(chunk * a.query.size(3)) +
           Carver<T>::size(2 * chunk * a.query.size(3)) +
           Carver<T>::size(2 * chunk * a.value.size(3)) + Carver<T>::size(stride) +
           Carver<T>::size(chunk * stride) + Carver<T>::size(chunk);
  }

  std::int64_t rounds() const { return all_rounds_; }
  void start(std::int64_t round) {
    round_ = round;
    order_ = head_order_ + round * length_;
    first_ = rows_ = own_ = 0;
    own_valid_ = 0;
  }

  // Goes on to the next chunk of the round; false if there is none.
  bool next() {
    first_ += rows_;
    if (first_ >= length_) return false;
    if (own_ > 0) keep_own();
    own_ = first_ > 0 ? chunk_ : 0;
    rows_ = std::min(chunk_, length_ - first_);
    previous_valid_ = own_valid_;
    gather();
    return true;
  }

  std::int64_t first() const { return first_; }  // slot of the first query
  std::int64_t rows() const { return rows_; }
  std::int64_t own() const { return own_; }  // which key is the first query's
  std::int64_t keys() const { return own_ + rows_; }
  std::int64_t stride() const { return stride_; }  // of the weights
  std::int64_t position(std::int64_t slot) const { return order_[slot]; }
  bool has_keys() const { return previous_valid_ + own_valid_ > 0; }
  T inverse_norm(std::int64_t l) const { return inverse_norms_[l]; }
  const T* query(std::int64_t l) const { return query_.row(l); }

  const T* queries() const { return queries_; }    // [rows, E]
  const T* all_keys() const { return keys_; }      // [keys, E]
  const T* all_values() const { return values_; }  // [keys, M]
  T* weights() const { return weights_; }          // [rows, stride]
  T* weights(std::int64_t row) const { return weights_ + row * stride_; }
  T inverse_sum(std::int64_t row) const { return inverse_sums_[row]; }

  // weights * inverse_sum is the softmax of each row. For windows that have keys.
  void compute_weights() {
    blas_gemm(false, true, rows_, keys(), query_.width, static_cast<T>(options_.scale), queries_,
              query_.width, keys_, query_.width, T{0}, weights_, stride_);
    for (std::int64_t i = 0; i < rows_; ++i) {
      const std::int64_t l = position(first_ + i);
      const std::int64_t limit = options_.causal ? std::min(l, valid_ - 1) : valid_ - 1;
      inverse_sums_[i] = exp_row(weights(i), places_, stride_, static_cast<T>(limit),
                                 options_.masked ? static_cast<T>(l) : T{-1});
    }
  }

  // Multiplies `factors`, as many as keys, by those of dropout, 0 or 1 / (1 - dropout).
  void drop(std::int64_t row, T* factors) const {
    const std::int64_t slot = (head_ * all_rounds_ + round_) * length_ + first_ + row;
    dropout_row(options_.address, slot * 2 * options_.chunk, keys(),
                random_threshold(options_.dropout), static_cast<T>(1 / (1 - options_.dropout)),
                factors);
  }

 private:
  void keep_own() {
    std::copy_n(keys_ + chunk_ * query_.width, chunk_ * query_.width, keys_);
    std::copy_n(values_ + chunk_ * value_.width, chunk_ * value_.width, values_);
    std::copy_n(places_ + chunk_, chunk_, places_);
  }

  // Keys that nobody sees are zeros, whatever they were: 0 times NaN would be NaN.
  void gather() {
    own_valid_ = 0;
    for (std::int64_t i = 0; i < rows_; ++i) {
      const std::int64_t l = position(first_ + i);
      const T* query = query_.row(l);
      T* key = keys_ + (own_ + i) * query_.width;
      T* value = values_ + (own_ + i) * value_.width;
      copy_row(query, queries_ + i * query_.width, query_.width);
      if (l < valid_) {
        accumulate(query, inverse_norms_[l], 0, key, query_.width);
        copy_row(value_.row(l), value, value_.width);
        ++own_valid_;
      } else {
        std::fill_n(key, query_.width, T{0});
        std::fill_n(value, value_.width, T{0});
      }
      places_[own_ + i] = l < valid_ ? static_cast<T>(l) : std::numeric_limits<T>::infinity();
    }
    std::fill(places_ + keys(), places_ + stride_, std::numeric_limits<T>::infinity());
  }

  const LshAttentionOptions& options_;
  Head<T> query_, value_;
  std::int64_t length_, valid_, chunk_, all_rounds_, head_;
  const std::int32_t* head_order_;
  const std::int32_t* order_ = nullptr;
  std::int64_t stride_;
  std::int64_t round_ = 0, first_ = 0, rows_ = 0, own_ = 0, previous_valid_ = 0, own_valid_ = 0;
  T* inverse_norms_;              // [L]
  T *queries_, *keys_, *values_;  // [chunk, E], [2 chunk, E], [2 chunk, M]
  T* places_;                     // [stride]: the keys' positions, infinity for those unseen
  T* weights_;                    // [chunk, stride]
  T* inverse_sums_;               // [chunk]
};

}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
