// The paper's Algorithm 1 as a plain loop, the opponent that causal-linear's `ratio_naive` is
// measured against. Built with -O3 -march=native, unlike everything else.
#pragma once

namespace tarn::bench {

// All arrays are contiguous [sequences, length, width]; the feature map is applied already. One
// thread. Writes the numerator and the denominator.
void naive_forward(long sequences, long length, long width, const float* query, const float* key,
                   const float* value, float* numerator, float* denominator);

// The gradients of query, key and value from those of the numerator and the denominator.
void naive_backward(long sequences, long length, long width, const float* query, const float* key,
                    const float* value, const float* grad_numerator, const float* grad_denominator,
                    float* grad_query, float* grad_key, float* grad_value);

}  // namespace tarn::bench
