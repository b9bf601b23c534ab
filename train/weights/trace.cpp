#include "train/weights/trace.h"

#include <vector>

#include "core/io/file.h"
#include "core/transfer.h"
#include "train/run/run_folder.h"
#include "train/run/trainer.h"
#include "train/tasks/model.h"
#include "train/weights/weights.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

Tensor on_cpu(const Tensor& tensor) { return copy_to(tensor, Device::cpu()); }

// Forward and backward of one recorded batch; the gradients are left with the parameters.
ForwardResult run_batch(Task& task, const SafetensorsFile& batches, std::int64_t index,
                        const TraceRequest& request, std::uint64_t seed) {
  ad::Tape tape;
  ForwardResult result;
  {
    const ad::Recording recording = tape.record();
    result = task.recorded_batch(batches, index,
                                 {request.dropout, seed, static_cast<std::uint32_t>(index)});
  }
  tape.backward(result.loss);
  return result;
}

}  // namespace

void trace(const Config& config, const TraceRequest& request) {
  check_f32_weights(config.model, "tarn trace");
  TARN_CHECK_AS(ConfigError, request.steps == 0 || config.train.accumulate == 1,
                "train.accumulate is ", config.train.accumulate,
                ", but tarn trace --steps makes an update of each recorded batch; "
                "--set train.accumulate=1");
  for (const fs::path& input : {request.batch, fs::path(request.weights)}) {
    std::error_code absent;
    TARN_CHECK_AS(IoError, !fs::equivalent(request.out, input, absent), "--out ",
                  request.out.string(), " is what is read; choose another file");
  }
  check_result_file(request.out);
  const auto task = make_task(config, parse_device(config.run.device));
  load_weights(request.weights, task->model(), task->data_facts());
  const SafetensorsFile batches(request.batch);
  const std::int64_t recorded = task->count_recorded(batches);
  TARN_CHECK_AS(IoError, recorded >= std::max<std::int64_t>(1, request.steps),
                request.batch.string(), " holds ", recorded, " batches; --steps ", request.steps,
                " needs one a step");

  NamedTensors out;
  const auto optimizer = optimizer_for(config, task->model());
  const optim::ScheduleOptions schedule = schedule_options(config);
  std::vector<double> losses;
  for (std::int64_t k = 0; k < std::max<std::int64_t>(1, request.steps); ++k) {
    const ForwardResult result = run_batch(*task, batches, k, request, config.run.seed);
    losses.push_back(metric(task->metrics(HostCopy(result.totals).wait<double>()), "loss"));
    if (k == 0) {
      out.emplace_back("logits", on_cpu(result.logits));
      out.emplace_back("loss", on_cpu(result.loss));
      for (const ad::Parameter* parameter : task->model().parameters()) {
        if (!parameter->has_grad()) continue;
        out.emplace_back("grad." + parameter->name(), on_cpu(parameter->grad()));
      }
    }
    if (request.steps > 0) {
      optimizer->step(config.optimizer.lr * optim::learning_rate_factor(schedule, k, {}));
    }
  }
  if (request.steps > 0) {
    out.emplace_back("losses", from_values<double>(losses, {request.steps}, Device::cpu()));
    for (const ad::Parameter* parameter : task->model().parameters()) {
      out.emplace_back(message("step", request.steps, ".", parameter->name()),
                       on_cpu(parameter->value()));
    }
  }
  write_safetensors(request.out, out);
}

}  // namespace tarn::train
