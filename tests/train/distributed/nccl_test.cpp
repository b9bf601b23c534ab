// Processes with a CUDA device each, whose gradients go from device to device: NCCL's calls are
// those of the emulated device.
#include <doctest/doctest.h>

#if defined(TARN_EMULATED)
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <limits>

#include "core/device_runtime.h"
#include "core/transfer.h"
#include "kernels/copy.h"
#include "kernels/table.h"
#include "tests/emulator/emulator.h"
#include "tests/train/distributed/mpirun.h"
#include "train/distributed/module.h"
#include "train/distributed/shard_sum.h"
#include "train/distributed/transport.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;
using train::DeviceTransport;

const fs::path& nccl_module() {
  static const fs::path module = program().parent_path() / "tarn_nccl.so";
  return module;
}

bool has_nccl() {
  if (!fs::exists(nccl_module())) MESSAGE("skipped: this build has no NCCL");
  return fs::exists(nccl_module()) && has_mpi();
}

Environment with_devices(int count) {
  Environment environment = kMpirun;
  environment.emplace_back("EMULATED_DEVICES", std::to_string(count));
  return environment;
}

const Arguments kDeviceShards = {"train.shards=4",    "train.batch_size=4", "train.steps=6",
                                 "model.dropout=0.1", "train.accumulate=2", "run.device=cuda"};

TEST_CASE("device: nccl, the same bytes for any number of processes, and by way of the host") {
  if (!has_nccl()) return;
  const TinyRuns runs;
  run_ok(runs.train("1", kDeviceShards));
  const auto check = [&](int ranks, int devices, const std::vector<std::string>& parts) {
    CAPTURE(ranks);
    const std::string name = message(ranks, " of ", devices);
    const Outcome outcome =
        run_ranks_ok(ranks, runs.train(name, kDeviceShards), with_devices(devices));
    INFO(outcome.err);
    for (const std::string& part : parts) CHECK(contains(outcome.err, part));
    CHECK(run_difference(runs / "1", runs / name) == "");
  };
  for (const int ranks : {2, 3, 4}) {
    check(ranks, 4, {"device: cuda:0 ", "gradients: from device to device, by NCCL 2."});
  }
  check(3, 2,  // the third has the first's
        {"gradients: by way of the hosts' memory, since rank 0 on ", " and rank 2 on ",
         " share a device"});
}

TEST_CASE("device: nccl, a process that hangs or dies ends the run, which is resumed") {
  if (!has_nccl()) return;
  const TinyRuns runs;
  const auto steps = [](std::int64_t count) {
    return with(kDeviceShards,
                {message("train.steps=", count), "train.accumulate=1", "run.timeout=2"});
  };
  const Outcome hung = signal_rank(
      3, runs.train("run", steps(100000)),
      [&] { return contains(log_of(runs / "run"), "\"step\":9"); }, 1, SIGSTOP, with_devices(3));
  INFO(hung.err);
  CHECK(hung.code == 1);
  CHECK(contains(hung.err, "rank 1 on "));
  CHECK(contains(hung.err, " did not answer for "));
  const Outcome killed = signal_rank(
      2, runs.resume("run", steps(100000)),
      [&] { return contains(log_of(runs / "run"), "\"step\":12"); }, 1, SIGKILL, with_devices(2));
  CHECK(killed.code > 0);
  const std::string latest = latest_checkpoint(runs / "run").filename();
  const std::int64_t end = std::stoll(latest.substr(latest.find('_') + 1)) + 2;
  run_ranks_ok(2, runs.resume("run", steps(end)), with_devices(2));
  run_ok(runs.train("whole", steps(end)));
  CHECK(run_difference(runs / "whole", runs / "run") == "");
}

// What the first of two processes is told, when the other ends as it will after they have met.
std::string fault_with(const std::function<void()>& end_of_other) {
  emulator::settings().devices = 2;
  void* make = train::load_function(nccl_module(), "tarn_nccl_transport");
  const std::unique_ptr<DeviceTransport> nccl(reinterpret_cast<DeviceTransport* (*)()>(make)());
  const std::string id = nccl->make_id();
  const auto connect = [&](int rank) {
    void* queue = runtime_of(Device::cuda(rank)).side_queue(rank).handle();
    nccl->connect(id, {rank, 2, rank, queue}, 10);
  };
  const pid_t other = fork();
  if (other == 0) {
    alarm(20);
    connect(1);
    end_of_other();
    _exit(0);
  }
  connect(0);
  const Tensor message = Tensor::zeros({1000}, DType::f32, Device::cuda(0));
  const std::vector<train::Incoming> receives{
      {1, {message.raw(), static_cast<std::size_t>(message.bytes())}}};
  CHECK(!nccl->ask({}, receives, 0.2));
  const auto fault = nccl->wait();
  runtime_of(Device::cuda(0)).side_queue(0).wait();  // which waits for nobody any more
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  emulator::settings() = {};
  REQUIRE(fault);
  CHECK(fault->rank == 1);
  return fault->reason;
}

TEST_CASE("device: nccl, a message that does not come is given up in time") {
  if (!has_nccl()) return;
  CHECK(fault_with([] { pause(); }) == "did not answer for 0 s");
  CHECK(fault_with([] {}) == "was lost: NCCL: remote process exited or there was a network error");
}

// Two processes with a socket between their memories.
class SocketTransport final : public train::Transport {
 public:
  SocketTransport(int rank, int socket) : rank_(rank), socket_(socket) {}
  int rank() const override { return rank_; }
  int size() const override { return 2; }
  std::string host() const override { return message("host", rank_); }
  bool serves_any_thread() const override { return false; }
  std::optional<train::Fault> exchange(std::span<const train::Outgoing> sends,
                                       std::span<const train::Incoming> receives,
                                       double /*seconds*/) override {
    for (const train::Outgoing& send : sends) {  // less than the socket holds
      if (!send.bytes.empty() && write(socket_, send.bytes.data(), send.bytes.size()) < 0) {
        return train::Fault{send.to, "is gone"};
      }
    }
    for (const train::Incoming& receive : receives) {
      const auto size = static_cast<ssize_t>(receive.bytes.size());
      if (size > 0 &&
          recv(socket_, receive.bytes.data(), receive.bytes.size(), MSG_WAITALL) != size) {
        return train::Fault{receive.from, "is gone"};
      }
    }
    return std::nullopt;
  }
  void finish() override {}
  [[noreturn]] void abort(int code) override { _exit(code); }

 private:
  int rank_, socket_;
};

// NCCL, and how often it was asked for messages.
class CountedNccl final : public DeviceTransport {
 public:
  CountedNccl(std::unique_ptr<DeviceTransport> nccl, int& asked)
      : nccl_(std::move(nccl)), asked_(asked) {}
  std::string name() const override { return nccl_->name(); }
  std::string make_id() override { return nccl_->make_id(); }
  void connect(const std::string& id, const train::DeviceMember& member, double seconds) override {
    nccl_->connect(id, member, seconds);
  }
  std::optional<train::Fault> ask(std::span<const train::Outgoing> sends,
                                  std::span<const train::Incoming> receives,
                                  double seconds) override {
    ++asked_;
    return nccl_->ask(sends, receives, seconds);
  }
  std::optional<train::Fault> wait() override { return nccl_->wait(); }

 private:
  std::unique_ptr<DeviceTransport> nccl_;
  int& asked_;
};

constexpr std::int64_t kPiece = 512, kPieces = 8;  // as many as buckets

float element_of(std::int64_t shard, std::int64_t element) {
  return static_cast<float>(element % 97) * 0.37F + static_cast<float>(shard) * 1.1F;
}

// Computes the gradient of a shard on the device, from its end to its beginning. What is not
// computed yet spoils a sum that is made too early, and each piece takes memory that was given back
// too early.
train::ShardSum shard_on(Device device, std::int64_t shard, const train::GradientProgress& progress,
                         const std::function<void()>& before_last_kernel) {
  train::ShardSum sum{Tensor::empty({kPieces * kPiece}, DType::f32, device),
                      Tensor::zeros({3}, DType::f64, device), 1, 0};
  const auto fill = [&](const Tensor& to, double value) {
    kernels::run(&kernels::Table::fill, device, {.to = to, .value = value});
  };
  fill(sum.gradient, std::numeric_limits<double>::quiet_NaN());
  std::vector<float> values(kPiece);
  for (std::int64_t first = (kPieces - 1) * kPiece; first >= 0; first -= kPiece) {
    for (std::int64_t i = 0; i < kPiece; ++i) {
      values[static_cast<std::size_t>(i)] = element_of(shard, first + i);
    }
    {
      const Tensor piece = from_values<float>(values, {kPiece}, device);
      if (first == 0) before_last_kernel();
      kernels::run(&kernels::Table::copy, device,
                   {.from = piece, .to = sum.gradient.slice(0, first, kPiece)});
    }
    if (progress) progress(sum.gradient, first);
  }
  return sum;
}

// What one of two processes, each with two of four shards, sees of a sum.
struct SeenSum {
  int asked_before_last = 0;  // messages, when the last kernel of the last shard was launched
  int asked = 0;
  bool right = false;
  train::ExchangeTime exchange;
};

SeenSum sum_as(int rank, int socket, const std::string& id) {
  void* make = train::load_function(nccl_module(), "tarn_nccl_transport");
  SeenSum seen;
  auto nccl = std::make_unique<CountedNccl>(
      std::unique_ptr<DeviceTransport>(reinterpret_cast<DeviceTransport* (*)()>(make)()),
      seen.asked);
  const Device device = Device::cuda(rank);
  nccl->connect(id, {rank, 2, rank, runtime_of(device).side_queue(rank).handle()}, 10);
  train::Communicator ranks(std::make_unique<SocketTransport>(rank, socket));
  ranks.use(std::move(nccl));
  ranks.set_timeout(10);
  const auto compute = [&](std::int64_t shard, const train::GradientProgress& progress) {
    return shard_on(device, shard, progress, [&] { seen.asked_before_last = seen.asked; });
  };
  const auto [sum, exchange] = train::sum_over_shards(4, ranks, compute);
  const Tensor gradient = copy_to(sum.gradient, Device::cpu());
  seen.right = sum.tokens == 4;
  for (std::int64_t i = 0; i < gradient.elements(); ++i) {
    const float expected =
        (element_of(0, i) + element_of(1, i)) + (element_of(2, i) + element_of(3, i));
    seen.right = seen.right && gradient.data<float>()[i] == expected;
  }
  seen.exchange = exchange;
  return seen;
}

SeenSum sum_of_two(emulator::Schedule schedule, std::uint64_t seed) {
  emulator::settings().devices = 2;
  emulator::settings().schedule = schedule;
  emulator::settings().seed = seed;
  std::array<int, 2> sockets{};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets.data()) == 0);
  void* make = train::load_function(nccl_module(), "tarn_nccl_transport");
  const std::unique_ptr<DeviceTransport> nccl(reinterpret_cast<DeviceTransport* (*)()>(make)());
  const std::string id = nccl->make_id();
  const pid_t other = fork();
  if (other == 0) {
    alarm(20);
    _exit(sum_as(1, sockets[1], id).right ? 0 : 1);
  }
  close(sockets[1]);
  const SeenSum seen = sum_as(0, sockets[0], id);
  int status = 0;
  waitpid(other, &status, 0);
  close(sockets[0]);
  CHECK(status == 0);
  wait_for(Device::cuda(0));
  emulator::settings() = {};
  return seen;
}

TEST_CASE("device: nccl, gradients travel while the rest is computed") {
  if (!has_nccl()) return;
  const auto check = [](const SeenSum& seen) {
    CHECK(seen.right);
    CHECK(seen.asked == kPieces);
    CHECK(seen.asked_before_last == kPieces - 1);
    CHECK(seen.exchange.hidden <= seen.exchange.seconds);
  };
  check(sum_of_two(emulator::Schedule::late, 1));
  // The device does what it is asked for at once, so all but the last bucket before the last
  // kernel.
  const SeenSum eager = sum_of_two(emulator::Schedule::eager, 1);
  check(eager);
  CHECK(eager.exchange.hidden > 0);
  // Queues overtake each other wherever nothing keeps them from it.
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    check(sum_of_two(emulator::Schedule::random, seed));
  }
}

}  // namespace
}  // namespace tarn::test
#endif
