#include "kernels/embedding.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rows.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {

void embedding_forward(const EmbeddingForwardArgs& args) {
  with_float_type(args.weight.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int32_t* tokens = args.tokens.data<std::int32_t>();
    const T* weight = args.weight.data<T>();
    T* out = args.out.mutable_data<T>();
    const std::int64_t width = args.weight.size(1);
    const Rows rows(args.out);
    parallel_chunks(rows.count(), rows_per_chunk(width),
                    [&](std::int64_t first, std::int64_t last) {
                      for (std::int64_t r = first; r < last; ++r) {
                        const T* from = weight + tokens[r] * width;
                        std::copy(from, from + width, out + rows.offset(r));
                      }
                    });
  });
}

void embedding_backward(const EmbeddingBackwardArgs& args) {
  with_float_type(args.grad_out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int32_t* tokens = args.tokens.data<std::int32_t>();
    const T* grad_out = args.grad_out.data<T>();
    T* grad_weight = args.grad_weight.mutable_data<T>();
    const std::int64_t width = args.grad_weight.size(1);
    const Rows rows(args.grad_out);
    const T beta = static_cast<T>(args.beta);
    // Pieces are column ranges: each walks all tokens in order and owns its part of every row.
    constexpr std::int64_t kColumns = 16;
    parallel_chunks(width, kColumns, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t v = 0; v < args.grad_weight.size(0); ++v) {
        T* row = grad_weight + v * width;
        for (std::int64_t i = first; i < last; ++i) row[i] = beta == 0 ? T{0} : beta * row[i];
      }
      for (std::int64_t r = 0; r < rows.count(); ++r) {
        const T* from = grad_out + rows.offset(r);
        T* row = grad_weight + tokens[r] * width;
        for (std::int64_t i = first; i < last; ++i) row[i] += from[i];
      }
    });
  });
}

}  // namespace tarn::kernels::cpu
