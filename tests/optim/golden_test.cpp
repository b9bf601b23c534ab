// Trajectories of the authors' optimizers over 30 steps (tests/golden/README.md).
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "core/check.h"
#include "core/io/safetensors.h"
#include "optim/optimizer.h"
#include "tests/optim/parameters.h"
#include "tests/support/paths.h"

namespace tarn::optim {
namespace {

struct Case {
  const char* name;
  double lr;
  OptimizerOptions options;
};

// adam with weight_decay 0 and no clipping is what "torch_adam" ran.
std::vector<Case> cases() {
  const OptimizerOptions authors;  // radam, decay 0.01, tensors clipped to 1
  OptimizerOptions nowd = authors, noclip = authors, beta2_98 = authors, adam = authors;
  nowd.weight_decay = 0;
  noclip.max_grad_norm = 0;
  beta2_98.beta2 = 0.98;
  adam.kind = "adam";
  adam.weight_decay = 0;
  adam.max_grad_norm = 0;
  return {{"radam_default", 1e-3, authors}, {"radam_nowd", 1e-2, nowd},
          {"radam_noclip", 1e-3, noclip},   {"radam_beta2_98", 1e-3, beta2_98},
          {"plainradam", 1e-3, noclip},     {"torch_adam", 1e-3, adam}};
}

// Not here: radam_nodegen skips the first steps instead of taking them as momentum, and
// adamw_warmup10 has a warm-up inside the optimizer; tarn offers neither.
TEST_CASE("optimizer: the authors' trajectories, after every one of 30 steps") {
  const SafetensorsFile golden(test::source_dir() / "tests" / "golden" / "radam.safetensors");
  for (const Case& c : cases()) {
    const std::string name = c.name;
    CAPTURE(name);
    const test::Parameters parameters(
        {golden.read("p0.init"), golden.read("p1.init"), golden.read("p2.init")});
    const auto optimizer = make_optimizer(parameters.pointers(), c.options);
    double error = 0;
    for (int step = 0; step < 30; ++step) {
      for (std::size_t p = 0; p < 3; ++p) {
        test::set_grad(parameters[p], golden.read(message("p", p, ".grads")).select(0, step));
      }
      optimizer->step(c.lr);
      for (std::size_t p = 0; p < 3; ++p) {
        const Tensor expected = golden.read(message(c.name, ".p", p)).select(0, step);
        error = std::max(error, test::max_abs_difference(parameters[p].value(), expected));
      }
    }
    CHECK(error < 1e-6);
    MESSAGE(name, ": within ", error);
  }
}

}  // namespace
}  // namespace tarn::optim
