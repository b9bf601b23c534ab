#include "autograd/attention_node.h"

namespace tarn::ad {

void check_heads(const char* op, const Heads& heads, const Tensor& lengths) {
  const auto& [query, key, value, qkv] = heads;
  const Check check(op);
  check.required({{"query", query}, {"key", key}, {"value", value}});
  check.floats({{"query", query}, {"key", key}, {"value", value}});
  check.heads({{"query", query}, {"key", key}, {"value", value}});
  TARN_CHECK_SHAPE(
      query.size(0) == key.size(0) && query.size(2) == key.size(2) && query.size(3) == key.size(3),
      op, ": query ", query.shape(), " and key ", key.shape(),
      " must agree in batch, heads and width");
  TARN_CHECK_SHAPE(
      key.size(0) == value.size(0) && key.size(1) == value.size(1) && key.size(2) == value.size(2),
      op, ": key ", key.shape(), " and value ", value.shape(),
      " must agree in batch, length and heads");
  check.lengths({"lengths", lengths}, query.size(0), key.size(1), query.device());
}

void check_prefill(const char* op, const Heads& heads, const Argument& first,
                   const Argument& second) {
  const Argument key{"key", heads.key}, value{"value", heads.value};
  const Check check(op);
  check.required({key, value, first, second});
  check.floats({key, value, first, second});
  check.heads({key, value});
  TARN_CHECK_SHAPE(heads.key.shape().without_last() == heads.value.shape().without_last(), op,
                   ": key ", heads.key, " and value ", heads.value,
                   " must agree in batch, length and heads");
  check.contiguous({first, second});
}

Tensor attention_output(const Tensor& query, const Tensor& value) {
  return Tensor::empty({query.size(0), query.size(1), query.size(2), value.size(3)}, query.dtype(),
                       query.device());
}

Tensor number_per_query(const Tensor& query) {
  return Tensor::empty({query.size(0), query.size(2), query.size(1)}, query.dtype(),
                       query.device());
}

}  // namespace tarn::ad
