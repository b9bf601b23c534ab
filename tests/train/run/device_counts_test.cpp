// What one step of the copy task asks of a CUDA device, by the emulated runtime's own counters.
#include <doctest/doctest.h>

#include "core/allocator.h"
#include "tests/support/devices.h"
#include "train/run/trainer.h"

namespace tarn::train {
namespace {

#if defined(TARN_EMULATED) && !defined(TARN_CHECKED)  // which reads memory back to check it
TEST_CASE("device: a step has a fixed number of launches, waits once and allocates nothing") {
  const Device device = Device::cuda(0);
  Config config;
  config.run.device = device.str();
  config.task.sequence_length = 32;
  config.model.layers = 2;
  config.model.heads = 2;
  config.model.head_dim = 8;
  config.train.batch_size = 4;
  const auto task = make_ready_task(config, device);
  const auto optimizer = optimizer_for(config, task->model());
  ad::Tape tape;
  std::optional<optim::QueuedUpdate> pending;
  std::uint64_t launches = 0;
  for (std::int64_t step = 0; step < 8; ++step) {
    emulator::counters() = {};
    optim::QueuedUpdate update =
        optimizer->queue(1e-3, run_batches(*task, config, step, tape).totals);
    if (pending) optimizer->finish(*pending);
    pending = std::move(update);
    const emulator::Counters& counts = emulator::counters();
    CAPTURE(step);
    CHECK(counts.waits <= 1);
    if (step < 3) continue;
    CHECK(counts.allocations == 0);
    if (step > 3) CHECK(counts.launches == launches);
    launches = counts.launches;
    if (step == 7) {
      MESSAGE("a step: ", counts.launches, " launches, ", counts.waits, " host waits, ",
              counts.allocations, " allocations, ", counts.copies, " copies of ",
              counts.bytes_copied, " bytes");
    }
  }
}
#endif

}  // namespace
}  // namespace tarn::train
