#include "train/distributed/shard_sum.h"

#include <array>
#include <bit>
#include <cmath>

#include "core/transfer.h"
#include "data/shard.h"
#include "kernels/copy.h"
#include "kernels/table.h"

namespace tarn::train {
namespace {

void add(const Tensor& to, const Tensor& from) {
  kernels::run(&kernels::Table::copy, to.device(), {.from = from, .to = to, .beta = 1});
}

void add(ShardSum& to, const ShardSum& from) {
  add(to.gradient, from.gradient);
  add(to.totals, from.totals);
  to.tokens += from.tokens;
  to.stops += from.stops;
}

// A sum as messages, in the program's own memory.
struct Parcel {
  Tensor gradient, totals;
  std::array<std::int64_t, 2> counts{};

  // The bytes of one that is received are written to.
  std::vector<std::span<std::byte>> parts() {
    const auto bytes = [](const Tensor& tensor) {
      return std::span(tensor.raw(), static_cast<std::size_t>(tensor.bytes()));
    };
    return {bytes(gradient), bytes(totals), std::as_writable_bytes(std::span(counts))};
  }
};

Tensor on_host(const Tensor& tensor) {
  return tensor.device() == Device::cpu() ? tensor : copy_to(tensor, Device::cpu());
}

Parcel packed(const ShardSum& sum) {
  return {on_host(sum.gradient), on_host(sum.totals), {sum.tokens, sum.stops}};
}

Parcel empty_like(const ShardSum& sum) {
  const auto host = [](const Tensor& like) {
    return Tensor::empty(like.shape(), like.dtype(), Device::cpu());
  };
  return {host(sum.gradient), host(sum.totals), {}};
}

ShardSum unpacked(const Parcel& parcel, Device device) {
  const auto there = [&](const Tensor& tensor) {
    return device == Device::cpu() ? tensor : copy_to(tensor, device);
  };
  return {there(parcel.gradient), there(parcel.totals), parcel.counts[0], parcel.counts[1]};
}

// Neighbouring ranks.
struct Group {
  int first = 0, last = 0;
  bool has(int rank) const { return first <= rank && rank <= last; }
  // Which of them gives its sum to a rank of the other side.
  int giver(const Group& other, int rank) const {
    return first + (rank - other.first) % (last - first + 1);
  }
};

class Tree {
 public:
  Tree(std::int64_t count, Communicator& ranks, const std::function<ShardSum(std::int64_t)>& shard)
      : count_(count), ranks_(ranks), shard_(shard) {}

  // The node of `count` shards from `first` on, some of which this process has.
  ShardSum sum_of(std::int64_t first, std::int64_t count) {
    if (count == 1) return shard_(first);
    const auto left =
        static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(count - 1)));
    const Group before = holders(first, left), behind = holders(first + left, count - left);
    std::optional<ShardSum> a, b;
    if (before.has(ranks_.rank())) a = sum_of(first, left);
    if (behind.has(ranks_.rank())) b = sum_of(first + left, count - left);
    if (before.first != behind.last) {
      // Nearer the root a process waits longer, so that the first to give up names who is missing.
      const double height = std::log2(count) / std::log2(count_);
      trade(before, behind, a, b, 0.8 + 0.2 * height);
    }
    add(*a, *b);
    return std::move(*a);
  }

 private:
  Group holders(std::int64_t first, std::int64_t count) const {
    // The rank for which data::range_of({rank, size}, count_) has the shard.
    const auto holder = [&](std::int64_t shard) {
      return static_cast<int>(((shard + 1) * ranks_.size() - 1) / count_);
    };
    return {holder(first), holder(first + count - 1)};
  }

  // Gives the sums of this process to those of the other side that wait for them, and gets the one
  // that it lacks. A process that has shards on both sides lacks none.
  void trade(const Group& before, const Group& behind, std::optional<ShardSum>& a,
             std::optional<ShardSum>& b, double share) {
    const int me = ranks_.rank();
    std::vector<Outgoing> sends;
    std::vector<Incoming> receives;
    Parcel mine_a, mine_b, theirs;
    const auto give = [&](const Group& from, const Group& to, const std::optional<ShardSum>& sum,
                          Parcel& parcel) {
      for (int rank = to.first; sum && rank <= to.last; ++rank) {
        if (from.has(rank) || from.giver(to, rank) != me) continue;
        if (!parcel.gradient.defined()) parcel = packed(*sum);
        for (const std::span<std::byte> part : parcel.parts()) sends.push_back({rank, part});
      }
    };
    give(before, behind, a, mine_a);
    give(behind, before, b, mine_b);
    if (!a || !b) {
      const int giver = a ? behind.giver(before, me) : before.giver(behind, me);
      theirs = empty_like(a ? *a : *b);
      for (const std::span<std::byte> part : theirs.parts()) receives.push_back({giver, part});
    }
    ranks_.exchange(sends, receives, share);
    if (!a) {
      a = unpacked(theirs, b->gradient.device());
    } else if (!b) {
      b = unpacked(theirs, a->gradient.device());
    }
  }

  std::int64_t count_;
  Communicator& ranks_;
  const std::function<ShardSum(std::int64_t)>& shard_;
};

}  // namespace

ShardSum sum_over_shards(std::int64_t count, Communicator& ranks,
                         const std::function<ShardSum(std::int64_t)>& shard) {
  return Tree(count, ranks, shard).sum_of(0, count);
}

void check_shards(std::int64_t count, const Communicator& ranks) {
  TARN_CHECK_AS(ConfigError, ranks.size() <= count, "train.shards is ", count, ", and there are ",
                ranks.size(),
                " processes; each takes one part of a batch at least: set "
                "train.shards to ",
                ranks.size(),
                " or more, and leave it so: it decides the bits of "
                "a run, and the number of processes does not");
}

}  // namespace tarn::train
