#include "bench/naive.h"

// Widths up to this; no library templates here, which would be compiled for this machine alone.
static constexpr long kMaxWidth = 256;

namespace tarn::bench {

void naive_forward(long sequences, long length, long width, const float* query, const float* key,
                   const float* value, float* numerator, float* denominator) {
  static float state[kMaxWidth * kMaxWidth];
  static float sum[kMaxWidth];
  for (long n = 0; n < sequences; ++n) {
    for (long i = 0; i < width * width; ++i) state[i] = 0;
    for (long i = 0; i < width; ++i) sum[i] = 0;
    for (long t = 0; t < length; ++t) {
      const long at = (n * length + t) * width;
      const float* q = query + at;
      const float* k = key + at;
      const float* v = value + at;
      float* out = numerator + at;
      float den = 0;
      for (long m = 0; m < width; ++m) out[m] = 0;
      for (long e = 0; e < width; ++e) {
        sum[e] += k[e];
        den += q[e] * sum[e];
        for (long m = 0; m < width; ++m) {
          state[e * width + m] += k[e] * v[m];
          out[m] += q[e] * state[e * width + m];
        }
      }
      denominator[n * length + t] = den;
    }
  }
}

void naive_backward(long sequences, long length, long width, const float* query, const float* key,
                    const float* value, const float* grad_numerator, const float* grad_denominator,
                    float* grad_query, float* grad_key, float* grad_value) {
  static float state[kMaxWidth * kMaxWidth];
  static float sum[kMaxWidth];
  for (long n = 0; n < sequences; ++n) {
    for (long i = 0; i < width * width; ++i) state[i] = 0;
    for (long i = 0; i < width; ++i) sum[i] = 0;
    for (long t = 0; t < length; ++t) {
      const long at = (n * length + t) * width;
      const float* g = grad_numerator + at;
      for (long e = 0; e < width; ++e) {
        sum[e] += key[at + e];
        float total = 0;
        for (long m = 0; m < width; ++m) {
          state[e * width + m] += key[at + e] * value[at + m];
          total += g[m] * state[e * width + m];
        }
        grad_query[at + e] = total + grad_denominator[n * length + t] * sum[e];
      }
    }
    for (long i = 0; i < width * width; ++i) state[i] = 0;
    for (long i = 0; i < width; ++i) sum[i] = 0;
    for (long t = length - 1; t >= 0; --t) {
      const long at = (n * length + t) * width;
      const float* g = grad_numerator + at;
      for (long m = 0; m < width; ++m) grad_value[at + m] = 0;
      for (long e = 0; e < width; ++e) {
        sum[e] += grad_denominator[n * length + t] * query[at + e];
        float total = 0;
        for (long m = 0; m < width; ++m) {
          state[e * width + m] += query[at + e] * g[m];
          total += state[e * width + m] * value[at + m];
          grad_value[at + m] += state[e * width + m] * key[at + e];
        }
        grad_key[at + e] = total + sum[e];
      }
    }
  }
}

}  // namespace tarn::bench
