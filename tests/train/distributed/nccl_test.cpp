// Processes with a CUDA device each, whose gradients go from device to device: NCCL's calls are
// those of the emulated device.
#include <doctest/doctest.h>

#if defined(TARN_EMULATED)
#include <sys/wait.h>

#include <csignal>

#include "core/device_runtime.h"
#include "core/transfer.h"
#include "tests/emulator/emulator.h"
#include "tests/train/distributed/mpirun.h"
#include "train/distributed/module.h"
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
    nccl->connect(id, {rank, 2, rank, runtime_of(Device::cuda(rank)).queue(rank)}, 10);
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
  const auto fault = nccl->exchange({}, receives, 0.2);
  wait_for(Device::cuda(0));  // which waits for nobody any more
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  REQUIRE(fault);
  CHECK(fault->rank == 1);
  return fault->reason;
}

TEST_CASE("device: nccl, a message that does not come is given up in time") {
  if (!has_nccl()) return;
  CHECK(fault_with([] { pause(); }) == "did not answer for 0 s");
  CHECK(fault_with([] {}) == "was lost: NCCL: remote process exited or there was a network error");
}

}  // namespace
}  // namespace tarn::test
#endif
