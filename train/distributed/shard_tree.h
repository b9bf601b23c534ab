// The binary tree that the sums of shards are added along, as one process of a run sees it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/tensor.h"
#include "train/distributed/communicator.h"
#include "train/distributed/shard_sum.h"

namespace tarn::train {

class ShardTree {
 public:
  // Of shards 0 .. count - 1, of which each process has one at least.
  ShardTree(std::int64_t count, Communicator& ranks);

  std::int64_t last_shard() const { return last_shard_; }  // of those of this process

  // Computes the shards of this process before its last, and keeps the sums that wait for the last
  // or for other processes.
  void compute_before_last(const std::function<ShardSum(std::int64_t)>& compute) {
    keep(root_, compute);
  }
  // Then the last one's gradient, and the rest of it when it is known.
  void keep_last(const Tensor& gradient) { kept_.push_back({{last_shard_, 1}, gradient, {}, {}}); }
  void keep_rest_of_last(const ShardSum& sum) { kept_.back().take_rest(sum); }

  // Adds up `count` elements of the gradients from `first` on, over all shards and in every
  // process; with element 0 also what is not gradient. To be called by all processes for the same
  // elements in the same order, for each element once.
  void add_up(std::int64_t first, std::int64_t count) { sum_of(root_, first, count); }
  // What was added up.
  ShardSum result() const;

 private:
  // Shards first .. first + count - 1.
  struct Node {
    std::int64_t first = 0, count = 1;
    std::int64_t middle() const;
    Node left() const { return {first, middle() - first}; }
    Node right() const { return {middle(), first + count - middle()}; }
    bool has(std::int64_t shard) const { return first <= shard && shard < first + count; }
    bool operator==(const Node&) const = default;
  };
  // Neighbouring ranks.
  struct Group {
    int first = 0, last = 0;
    bool has(int rank) const { return first <= rank && rank <= last; }
    // Which of them gives its sum to a rank of the other side.
    int giver(const Group& other, int rank) const {
      return first + (rank - other.first) % (last - first + 1);
    }
  };
  // What is added at once of the sums of two nodes, tensor by tensor; empty: it is not here.
  using Parts = std::vector<Tensor>;
  // The sum of a node of which this process has all shards.
  struct NodeSum {
    Node node;
    Tensor gradient, totals;
    Tensor counts;  // f64 [2], on the CPU: tokens and stops
    void take_rest(const ShardSum& sum);
    Parts parts(std::int64_t first, std::int64_t count) const;
  };

  Group holders(const Node& node) const;
  void keep(const Node& node, const std::function<ShardSum(std::int64_t)>& compute);
  Parts sum_of(const Node& node, std::int64_t first, std::int64_t count);
  Parts trade(const Group& before, const Group& behind, const Parts& a, const Parts& b,
              double share);

  static ShardSum sum_alone(const Node& node, const std::function<ShardSum(std::int64_t)>& compute);
  static void add(const Parts& to, const Parts& from);
  Tensor receiver_for(const Tensor& part, Device device);

  Node root_;
  Communicator& ranks_;
  std::int64_t last_shard_ = 0;
  std::vector<NodeSum> kept_;  // in the order of their shards
  // Parts that were received and added, to be received into again. None is given back before: a
  // device may yet have to do what uses them.
  std::vector<Tensor> receivers_;
};

}  // namespace tarn::train
