#include "train/distributed/shard_tree.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "core/transfer.h"
#include "data/shard.h"
#include "kernels/copy.h"
#include "kernels/table.h"

namespace tarn::train {
namespace {

Tensor on(Device device, const Tensor& tensor) {
  return tensor.device() == device ? tensor : copy_to(tensor, device);
}

std::span<std::byte> bytes_of(const Tensor& tensor) {
  return {tensor.raw(), static_cast<std::size_t>(tensor.bytes())};
}

}  // namespace

ShardTree::ShardTree(std::int64_t count, Communicator& ranks) : root_{0, count}, ranks_(ranks) {
  const data::Range mine = data::range_of({ranks.rank(), ranks.size()}, count);
  last_shard_ = mine.first + mine.count - 1;
}

// A node adds the sum of its first m shards, the largest power of two below their number, to that
// of the others.
std::int64_t ShardTree::Node::middle() const {
  return first + static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(count - 1)));
}

void ShardTree::NodeSum::take_rest(const ShardSum& sum) {
  totals = sum.totals;
  const std::array numbers{static_cast<double>(sum.tokens), static_cast<double>(sum.stops)};
  counts = from_values<double>(numbers, {2}, Device::cpu());
}

ShardTree::Parts ShardTree::NodeSum::parts(std::int64_t first, std::int64_t count) const {
  const Tensor elements = gradient.slice(0, first, count);
  return first > 0 ? Parts{elements} : Parts{elements, totals, counts};
}

ShardSum ShardTree::result() const {
  const NodeSum& sum = kept_.front();
  HostCopy counts(sum.counts);
  const std::span<const double> numbers = counts.wait<double>();
  return {sum.gradient, sum.totals, static_cast<std::int64_t>(numbers[0]),
          static_cast<std::int64_t>(numbers[1])};
}

ShardTree::Group ShardTree::holders(const Node& node) const {
  // The rank for which data::range_of({rank, size}, count) has the shard.
  const auto holder = [&](std::int64_t shard) {
    return static_cast<int>(((shard + 1) * ranks_.size() - 1) / root_.count);
  };
  return {holder(node.first), holder(node.first + node.count - 1)};
}

void ShardTree::keep(const Node& node, const std::function<ShardSum(std::int64_t)>& compute) {
  const Group group = holders(node);
  if (!group.has(ranks_.rank()) || node == Node{last_shard_, 1}) return;
  if (group.first < group.last || node.has(last_shard_)) {
    keep(node.left(), compute);
    keep(node.right(), compute);
    return;
  }
  const ShardSum sum = sum_alone(node, compute);
  kept_.push_back({node, sum.gradient, {}, {}});
  kept_.back().take_rest(sum);
}

ShardSum ShardTree::sum_alone(const Node& node,
                              const std::function<ShardSum(std::int64_t)>& compute) {
  if (node.count == 1) return compute(node.first);
  ShardSum a = sum_alone(node.left(), compute);
  const ShardSum b = sum_alone(node.right(), compute);
  add({a.gradient, a.totals}, {b.gradient, b.totals});
  a.tokens += b.tokens;
  a.stops += b.stops;
  return a;
}

void ShardTree::add(const Parts& to, const Parts& from) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    const Device device = to[i].device();
    kernels::run(&kernels::Table::copy, device,
                 {.from = on(device, from[i]), .to = to[i], .beta = 1});
  }
}

// The sum replaces what this process kept of the first of the node's shards that it has: that of
// two numbers is the same whichever of them it replaces.
ShardTree::Parts ShardTree::sum_of(const Node& node, std::int64_t first, std::int64_t count) {
  const auto kept = std::find_if(kept_.begin(), kept_.end(),
                                 [&](const NodeSum& sum) { return sum.node == node; });
  if (kept != kept_.end()) return kept->parts(first, count);
  const Group before = holders(node.left()), behind = holders(node.right());
  Parts a, b, theirs;
  if (before.has(ranks_.rank())) a = sum_of(node.left(), first, count);
  if (behind.has(ranks_.rank())) b = sum_of(node.right(), first, count);
  if (before.first != behind.last) {
    // Nearer the root a process waits longer, so that the first to give up names who is missing.
    const double height =
        std::log2(static_cast<double>(node.count)) / std::log2(static_cast<double>(root_.count));
    theirs = trade(before, behind, a, b, 0.8 + 0.2 * height);
  }
  if (a.empty()) std::swap(a, b);
  add(a, b.empty() ? theirs : b);
  receivers_.insert(receivers_.end(), theirs.begin(), theirs.end());
  return a;
}

Tensor ShardTree::receiver_for(const Tensor& part, Device device) {
  const auto fits = [&](const Tensor& receiver) {
    return receiver.shape() == part.shape() && receiver.dtype() == part.dtype() &&
           receiver.device() == device;
  };
  const auto found = std::find_if(receivers_.begin(), receivers_.end(), fits);
  if (found == receivers_.end()) return Tensor::empty(part.shape(), part.dtype(), device);
  Tensor receiver = *found;
  receivers_.erase(found);
  return receiver;
}

// Gives the sums of this process to those of the other side that wait for them, and returns the one
// that it lacks. A process that has shards on both sides lacks none.
ShardTree::Parts ShardTree::trade(const Group& before, const Group& behind, const Parts& a,
                                  const Parts& b, double share) {
  const int me = ranks_.rank();
  struct Messages {
    std::vector<Outgoing> sends;
    std::vector<Incoming> receives;
  };
  Messages by_host, by_device;
  // Where a part is sent from and received.
  const auto place_of = [&](const Tensor& part) {
    return ranks_.connects_devices() ? part.device() : Device::cpu();
  };
  const auto messages_of = [&](const Tensor& part) -> Messages& {
    return part.device() == Device::cpu() ? by_host : by_device;
  };
  Parts mine_a, mine_b, theirs;
  const auto give = [&](const Group& from, const Group& to, const Parts& sum, Parts& message) {
    for (int rank = to.first; !sum.empty() && rank <= to.last; ++rank) {
      if (from.has(rank) || from.giver(to, rank) != me) continue;
      if (message.empty()) {
        for (const Tensor& part : sum) message.push_back(on(place_of(part), part));
      }
      for (const Tensor& part : message) messages_of(part).sends.push_back({rank, bytes_of(part)});
    }
  };
  give(before, behind, a, mine_a);
  give(behind, before, b, mine_b);
  if (a.empty() || b.empty()) {
    const int giver = b.empty() ? behind.giver(before, me) : before.giver(behind, me);
    for (const Tensor& part : b.empty() ? a : b) {
      theirs.push_back(receiver_for(part, place_of(part)));
      messages_of(theirs.back()).receives.push_back({giver, bytes_of(theirs.back())});
    }
  }
  // The host's first: they tell which rank it is that does not come.
  ranks_.exchange(by_host.sends, by_host.receives, share);
  if (ranks_.connects_devices()) {
    ranks_.ask_devices(by_device.sends, by_device.receives, share);
  }
  return theirs;
}

}  // namespace tarn::train
