// The tree of sums: the same bits for any number of processes. Here they are threads, which give
// each other their messages in memory.
#include "train/distributed/shard_sum.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <limits>
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
    ++taken_[to];
    arrived_.notify_all();
    return true;
  }
  int taken(int to) {
    const std::lock_guard lock(mutex_);
    return taken_[to];
  }
  // Waits until that many messages were taken; false if it takes too long.
  bool wait_until_taken(int to, int messages) {
    std::unique_lock lock(mutex_);
    return arrived_.wait_for(lock, std::chrono::seconds(10),
                             [&] { return taken_[to] >= messages; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> queues_;
  std::map<int, int> taken_;  // messages, by who took them
};

class ThreadTransport final : public Transport {
 public:
  ThreadTransport(Mail& mail, int rank, int size, bool any_thread)
      : mail_(mail), rank_(rank), size_(size), any_thread_(any_thread) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string host() const override { return message("host", rank_); }
  bool serves_any_thread() const override { return any_thread_; }
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
  bool any_thread_;
};

// Calls f(communicator) in as many threads.
template <class F>
void for_all_ranks(int size, const F& f, Mail& mail, bool any_thread = true) {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&mail, &f, rank, size, any_thread] {
      Communicator ranks(std::make_unique<ThreadTransport>(mail, rank, size, any_thread));
      ranks.set_timeout(10);
      f(ranks);
    });
  }
  for (std::thread& thread : threads) thread.join();
}
template <class F>
void for_all_ranks(int size, const F& f) {
  Mail mail;
  for_all_ranks(size, f, mail);
}

constexpr std::int64_t kElements = 1000;  // exchanged in eight parts

// Fills the gradient from its end to its beginning, and says so. What is not filled yet would spoil
// a sum that is made too early.
ShardSum shard_of(std::int64_t shard, const GradientProgress& progress) {
  ShardSum sum{Tensor::empty({kElements}, DType::f32, Device::cpu()),
               Tensor::empty({2, 3}, DType::f64, Device::cpu()), 10 + shard, shard == 2 ? 1 : 0};
  test::fill(sum.gradient, std::numeric_limits<double>::quiet_NaN());
  for (std::int64_t i = kElements - 1; i >= 0; --i) {
    const double value =
        random_normal({1, 2, static_cast<std::uint32_t>(shard)}, static_cast<std::uint64_t>(i));
    sum.gradient.mutable_data<float>()[i] = static_cast<float>(value);
    if (i < 6) sum.totals.mutable_data<double>()[i] = value;
    if (progress && i % 90 == 0) progress(sum.gradient, i);
  }
  return sum;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return std::memcmp(a.raw(), b.raw(), static_cast<std::size_t>(a.bytes())) == 0;
}

// The node's sum, as its definition says.
std::vector<float> defined(std::int64_t first, std::int64_t count) {
  if (count == 1) {
    const Tensor gradient = shard_of(first, {}).gradient;
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
    const ShardSum expected = sum_over_shards(shards, alone, shard_of).sum;
    CHECK(std::memcmp(expected.gradient.raw(), defined(0, shards).data(), kElements * 4) == 0);
    for (int size = 1; size <= shards; ++size) {
      std::vector<ShardSum> sums(static_cast<std::size_t>(size));
      std::vector<std::vector<std::int64_t>> had(sums.size());
      for_all_ranks(size, [&](Communicator& ranks) {
        const auto at = static_cast<std::size_t>(ranks.rank());
        const auto compute = [&](std::int64_t shard, const GradientProgress& progress) {
          had[at].push_back(shard);
          return shard_of(shard, progress);
        };
        sums[at] = sum_over_shards(shards, ranks, compute).sum;
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

TEST_CASE("shard sum: what is complete travels while the rest is computed") {
  Communicator alone;
  const ShardSum expected = sum_over_shards(4, alone, shard_of).sum;
  Mail mail;
  const auto run = [&](Communicator& ranks) {
    const int rank = ranks.rank();
    const auto compute = [&](std::int64_t shard, const GradientProgress& progress) {
      if (!progress) return shard_of(shard, {});
      CHECK(shard % 2 == 1);  // the last of its process
      const ShardSum sum = shard_of(shard, {});
      const int before = mail.taken(rank);
      progress(sum.gradient, kElements - 100);  // less than a part
      progress(sum.gradient, kElements - 300);
      CHECK(mail.wait_until_taken(rank, before + 2));
      CHECK(mail.taken(rank) == before + 2);
      progress(sum.gradient, 0);
      CHECK(mail.wait_until_taken(rank, before + 7));  // the eighth goes with the totals
      CHECK(mail.taken(rank) == before + 7);
      return sum;
    };
    const auto [sum, exchange] = sum_over_shards(4, ranks, compute);
    CHECK(same_bits(sum.gradient, expected.gradient));
    CHECK(same_bits(sum.totals, expected.totals));
    CHECK(exchange.hidden > 0);
    CHECK(exchange.hidden < exchange.seconds);
  };
  for_all_ranks(2, run, mail);
}

TEST_CASE("shard sum: all travels in the end where messages are one thread's") {
  Communicator alone;
  const ShardSum expected = sum_over_shards(5, alone, shard_of).sum;
  Mail mail;
  const auto run = [&](Communicator& ranks) {
    const auto compute = [&](std::int64_t shard, const GradientProgress& progress) {
      CHECK_FALSE(progress);
      return shard_of(shard, progress);
    };
    const auto [sum, exchange] = sum_over_shards(5, ranks, compute);
    CHECK(same_bits(sum.gradient, expected.gradient));
    CHECK(same_bits(sum.totals, expected.totals));
    CHECK(exchange.seconds > 0);
    CHECK(exchange.hidden == 0);
  };
  for_all_ranks(3, run, mail, false);
}

TEST_CASE("shard sum: an error of a shard, and of the exchange beside it, are thrown") {
  for_all_ranks(2, [](Communicator& ranks) {
    ranks.set_timeout(0.05);
    const bool failing = ranks.rank() == 1;
    const auto compute = [&](std::int64_t shard, const GradientProgress& progress) {
      ShardSum sum = shard_of(shard, failing ? GradientProgress() : progress);
      if (failing) {
        progress(sum.gradient, kElements - 300);
        fail<ConfigError>("wrong");
      }
      return sum;
    };
    if (failing) {
      CHECK_THROWS_WITH_AS(sum_over_shards(2, ranks, compute), "wrong", ConfigError);
    } else {
      CHECK_THROWS_WITH_AS(sum_over_shards(2, ranks, compute), doctest::Contains("rank 1 on host1"),
                           RankLost);
    }
  });
}

TEST_CASE("shard sum: two of four processes send the bytes that are counted by hand") {
  std::vector<std::int64_t> sent(4);
  for_all_ranks(4, [&](Communicator& ranks) {
    const std::int64_t before = ranks.bytes_sent();
    sum_over_shards(8, ranks, shard_of);
    sent[static_cast<std::size_t>(ranks.rank())] = ranks.bytes_sent() - before;
  });
  // Two exchanges with others, each of a gradient, six totals and two counts.
  for (const std::int64_t bytes : sent) CHECK(bytes == 2 * (kElements * 4 + 6 * 8 + 2 * 8));
}

TEST_CASE("communicator: texts, tensors, the largest number, and errors, known to all") {
  for (int size = 1; size <= 9; ++size) {
    for_all_ranks(size, [&](Communicator& ranks) {
      CHECK(ranks.describe(ranks.rank()) ==
            message("rank ", ranks.rank(), " on host", ranks.rank()));
      CHECK(ranks.broadcast(message("from ", ranks.rank())) == "from 0");
      CHECK(ranks.largest(ranks.rank()) == size - 1);
      const Tensor tensor = shard_of(ranks.rank(), {}).gradient;
      ranks.broadcast(tensor);
      CHECK(same_bits(tensor, shard_of(0, {}).gradient));
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
