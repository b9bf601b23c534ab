// The tree of sums: the same bits for any number of processes. Here they are threads, which give
// each other their messages in memory.
#include "train/distributed/shard_sum.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "tests/support/random_tensor.h"

namespace tarn::train {
namespace {

// Messages under way, by who sends them to whom.
class Mail {
 public:
  void put(int from, int to, std::span<const std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    queues_[{from, to}].emplace_back(bytes.begin(), bytes.end());
    arrived_.notify_all();
  }
  // False if nothing came in time.
  bool take(int from, int to, std::span<std::byte> bytes, double seconds) {
    std::unique_lock lock(mutex_);
    auto& queue = queues_[{from, to}];
    if (!arrived_.wait_for(lock, std::chrono::duration<double>(seconds),
                           [&] { return !queue.empty(); })) {
      return false;
    }
    REQUIRE(queue.front().size() == bytes.size());
    std::copy(queue.front().begin(), queue.front().end(), bytes.begin());
    queue.pop_front();
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> queues_;
};

class ThreadTransport final : public Transport {
 public:
  ThreadTransport(Mail& mail, int rank, int size) : mail_(mail), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string host() const override { return message("host", rank_); }
  std::optional<Fault> exchange(std::span<const Outgoing> sends, std::span<const Incoming> receives,
                                double seconds) override {
    for (const Outgoing& send : sends) {
      if (!send.bytes.empty()) mail_.put(rank_, send.to, send.bytes);
    }
    for (const Incoming& receive : receives) {
      if (receive.bytes.empty()) continue;
      if (!mail_.take(receive.from, rank_, receive.bytes, seconds)) {
        return Fault{receive.from, "did not answer"};
      }
    }
    return std::nullopt;
  }
  void finish() override {}
  [[noreturn]] void abort(int) override { throw Error("abort"); }

 private:
  Mail& mail_;
  int rank_, size_;
};

// Calls f(communicator) in as many threads.
template <class F>
void for_all_ranks(int size, const F& f) {
  Mail mail;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&mail, &f, rank, size] {
      Communicator ranks(std::make_unique<ThreadTransport>(mail, rank, size));
      ranks.set_timeout(10);
      f(ranks);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

constexpr std::int64_t kElements = 37;

ShardSum shard_of(std::int64_t shard) {
  ShardSum sum{Tensor::empty({kElements}, DType::f32, Device::cpu()),
               Tensor::empty({2, 3}, DType::f64, Device::cpu()), 10 + shard, shard == 2 ? 1 : 0};
  for (std::int64_t i = 0; i < kElements; ++i) {
    const double value =
        random_normal({1, 2, static_cast<std::uint32_t>(shard)}, static_cast<std::uint64_t>(i));
    sum.gradient.mutable_data<float>()[i] = static_cast<float>(value);
    if (i < 6) sum.totals.mutable_data<double>()[i] = value;
  }
  return sum;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return std::memcmp(a.raw(), b.raw(), static_cast<std::size_t>(a.bytes())) == 0;
}

// The node's sum, as its definition says.
std::vector<float> defined(std::int64_t first, std::int64_t count) {
  if (count == 1) {
    const Tensor gradient = shard_of(first).gradient;
    return {gradient.data<float>(), gradient.data<float>() + kElements};
  }
  std::int64_t left = 1;
  while (2 * left < count) left *= 2;
  std::vector<float> sum = defined(first, left);
  const std::vector<float> right = defined(first + left, count - left);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += right[i];
  return sum;
}

TEST_CASE("shard sum: the tree's bits for any number of shards and processes") {
  for (std::int64_t shards = 1; shards <= 9; ++shards) {
    Communicator alone;
    const ShardSum expected = sum_over_shards(shards, alone, shard_of);
    CHECK(std::memcmp(expected.gradient.raw(), defined(0, shards).data(), kElements * 4) == 0);
    for (int size = 1; size <= shards; ++size) {
      std::vector<ShardSum> sums(static_cast<std::size_t>(size));
      std::vector<std::vector<std::int64_t>> had(sums.size());
      for_all_ranks(size, [&](Communicator& ranks) {
        const auto at = static_cast<std::size_t>(ranks.rank());
        sums[at] = sum_over_shards(shards, ranks, [&](std::int64_t shard) {
          had[at].push_back(shard);
          return shard_of(shard);
        });
      });
      CAPTURE(shards);
      CAPTURE(size);
      std::vector<std::int64_t> all;
      for (std::size_t rank = 0; rank < sums.size(); ++rank) {
        CHECK(same_bits(sums[rank].gradient, expected.gradient));
        CHECK(same_bits(sums[rank].totals, expected.totals));
        CHECK(sums[rank].tokens == expected.tokens);
        CHECK(sums[rank].stops == (shards > 2 ? 1 : 0));
        all.insert(all.end(), had[rank].begin(), had[rank].end());
      }
      REQUIRE(static_cast<std::int64_t>(all.size()) == shards);  // each computed once
      for (std::int64_t i = 0; i < shards; ++i) CHECK(all[static_cast<std::size_t>(i)] == i);
    }
  }
}

TEST_CASE("shard sum: two of four processes send the bytes that are counted by hand") {
  std::vector<std::int64_t> sent(4);
  for_all_ranks(4, [&](Communicator& ranks) {
    const std::int64_t before = ranks.bytes_sent();
    sum_over_shards(8, ranks, shard_of);
    sent[static_cast<std::size_t>(ranks.rank())] = ranks.bytes_sent() - before;
  });
  // Two exchanges, each of a gradient, six totals and two counts.
  for (const std::int64_t bytes : sent) CHECK(bytes == 2 * (kElements * 4 + 6 * 8 + 2 * 8));
}

TEST_CASE("communicator: texts, tensors, the largest number, and errors, known to all") {
  for (int size = 1; size <= 9; ++size) {
    for_all_ranks(size, [&](Communicator& ranks) {
      CHECK(ranks.describe(ranks.rank()) ==
            message("rank ", ranks.rank(), " on host", ranks.rank()));
      CHECK(ranks.broadcast(message("from ", ranks.rank())) == "from 0");
      CHECK(ranks.largest(ranks.rank()) == size - 1);
      const Tensor tensor = shard_of(ranks.rank()).gradient;
      ranks.broadcast(tensor);
      CHECK(same_bits(tensor, shard_of(0).gradient));
      ranks.together([] {});
      std::string error;
      try {
        ranks.together([&] {
          if (ranks.rank() == size - 1) fail<ConfigError>("wrong");
        });
      } catch (const UserError& thrown) {
        error = thrown.what();
      }
      CHECK(error == (size == 1 ? "wrong" : message(ranks.describe(size - 1), ": wrong")));
    });
  }
}

TEST_CASE("communicator: a process that does not answer is named with its host") {
  for_all_ranks(2, [](Communicator& ranks) {
    if (ranks.rank() == 1) return;
    ranks.set_timeout(0.01);
    CHECK_THROWS_WITH_AS(ranks.gather("x"), doctest::Contains("rank 1 on host1"), RankLost);
  });
}

TEST_CASE("communicator: fewer shards than processes are refused") {
  for_all_ranks(3, [](Communicator& ranks) {
    check_shards(3, ranks);
    CHECK_THROWS_WITH_AS(check_shards(2, ranks), doctest::Contains("train.shards is 2"),
                         ConfigError);
  });
}

}  // namespace
}  // namespace tarn::train
