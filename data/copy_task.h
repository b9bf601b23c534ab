// The paper's synthetic task: repeat a sequence after a separator. Drawn by address, so that a
// batch is the same whatever was drawn before it.
#pragma once

#include <string_view>

#include "core/rng.h"
#include "core/tensor.h"
#include "data/shard.h"

namespace tarn::data {

struct CopyTaskOptions {
  std::int64_t sequence_length = 128;
  std::int64_t symbols = 10;  // tokens 1 .. symbols; 0 separates and pads
  std::uint64_t seed = 1;
};

// x = t_1 .. t_n 0 t_1 .. t_n 0 0 ...; y is x moved left by one; the mask is 1 at positions n-1 to
// 2n-1, counted from 0: the one before the separator, and the second half.
struct CopyBatch {
  Tensor x, y;  // i32 [batch, length]
  Tensor mask;  // f32 [batch, length]
};

class CopyTask {
 public:
  // Throws ConfigError when no length is possible.
  explicit CopyTask(const CopyTaskOptions& options);

  // A shard of batch `index`, of `size` sequences, of a stream ("train", "evaluation"); on the CPU.
  CopyBatch batch(std::string_view stream, std::int64_t index, std::int64_t size,
                  const Shard& shard = {}) const;
  // How many positions of it are masked.
  std::int64_t targets(std::string_view stream, std::int64_t index, std::int64_t size,
                       const Shard& shard = {}) const;

  // n is uniform in shortest .. longest: L/4 to (L-1)/2 - 1, rounded down.
  std::int64_t shortest() const { return options_.sequence_length / 4; }
  std::int64_t longest() const { return (options_.sequence_length - 1) / 2 - 1; }

 private:
  RngAddress address(std::string_view stream, std::int64_t index) const;
  std::int64_t symbols_of(const RngAddress& batch, std::int64_t sequence) const;

  CopyTaskOptions options_;
};

}  // namespace tarn::data
