#include "autograd/attention.h"
#include "autograd/check.h"
#include "kernels/attention.h"
#include "kernels/copy.h"
#include "kernels/table.h"

namespace tarn::ad {

using kernels::Table;

namespace {

// What both want of the heads and of their state's two tensors.
void check_absorb(const char* op, const Heads& heads, const Argument& first,
                  const Argument& second) {
  const Argument key{"key", heads.key}, value{"value", heads.value};
  const Check check(op);
  check.required({key, value, first, second});
  check.floats({key, value, first, second});
  for (const Argument& x : {key, value}) {
    check.rank(x, 4, "[N, L, H, width]");
    check.widths(x, 2);
    check.contiguous_rows({x});
  }
  TARN_CHECK_SHAPE(heads.key.shape().without_last() == heads.value.shape().without_last(), op,
                   ": key ", heads.key, " and value ", heads.value,
                   " must agree in batch, length and heads");
  check.contiguous({first, second});
}

}  // namespace

void causal_linear_absorb(const Heads& heads, const Tensor& sum, const Tensor& key_sum) {
  const Tensor &key = heads.key, &value = heads.value;
  check_absorb("causal_linear_absorb", heads, {"sum", sum}, {"key_sum", key_sum});
  TARN_CHECK_SHAPE(sum.shape() == Shape({key.size(0), key.size(2), key.size(3), value.size(3)}) &&
                       key_sum.shape() == sum.shape().without_last(),
                   "causal_linear_absorb: the state ", sum.shape(), " and ", key_sum.shape(),
                   " does not belong to key ", key.shape(), " and value ", value.shape());
  const auto none = [&](const Shape& shape) {
    return Tensor::empty(shape, key.dtype(), key.device());
  };
  // Where the mask is not causal the sums are over all positions: the state, without any query.
  kernels::run(&Table::linear_attention_forward, key.device(),
               {.query = none({key.size(0), 0, key.size(2), key.size(3)}),
                .key = key,
                .value = value,
                .out = none({key.size(0), 0, key.size(2), value.size(3)}),
                .inverse_sum = none({key.size(0), key.size(2), 0}),
                .sum = sum,
                .key_sum = key_sum});
}

void softmax_absorb(const Heads& heads, const Tensor& keys, const Tensor& values) {
  const Tensor &key = heads.key, &value = heads.value;
  check_absorb("softmax_absorb", heads, {"keys", keys}, {"values", values});
  Check("softmax_absorb").rank({"keys", keys}, 4, "[N, H, capacity, E]");
  Check("softmax_absorb").rank({"values", values}, 4, "[N, H, capacity, M]");
  TARN_CHECK_SHAPE(key.size(1) <= keys.size(2), "softmax_absorb: ", key.size(1),
                   " positions are more than the cache's ", keys.size(2));
  const auto write = [&](const Tensor& from, const Tensor& cache) {
    const Tensor to = cache.slice(2, 0, from.size(1)).transpose(1, 2);
    TARN_CHECK_SHAPE(to.shape() == from.shape(), "softmax_absorb: the cache ", cache.shape(),
                     " does not belong to heads ", from.shape());
    kernels::run(&Table::copy, from.device(), {.from = from, .to = to});
  };
  write(key, keys);
  write(value, values);
}

}  // namespace tarn::ad
