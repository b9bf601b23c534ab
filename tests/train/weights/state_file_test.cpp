#include "train/weights/state_file.h"

#include <doctest/doctest.h>

#include "core/check.h"
#include "core/io/file.h"
#include "tests/nn/tokens.h"
#include "tests/support/temp_dir.h"

namespace tarn::train {
namespace {

TEST_CASE("state file: what is loaded goes on as what was saved") {
  const test::TempDir dir;
  for (const char* kind : {"causal-linear", "full"}) {
    CAPTURE(kind);
    const nn::SequencePredictor model(test::build_of(), test::small_options(kind, 8));
    nn::EncoderState state = model.start(2);
    model.prefill(test::random_tokens({2, 5}, 11, "prefix"), state);
    save_state(dir / "state.safetensors", state);
    nn::EncoderState loaded = model.start(2);
    load_state(dir / "state.safetensors", loaded);
    CHECK(loaded.position() == 5);
    const Tensor token = test::lengths_of({3, 4});
    CHECK(test::max_abs_difference(model.step(token, loaded), model.step(token, state)) == 0);
  }
}

TEST_CASE("state file: one of another model is refused with the file's name") {
  const test::TempDir dir;
  const nn::SequencePredictor linear(test::build_of(), test::small_options("causal-linear", 8));
  const nn::SequencePredictor full(test::build_of(), test::small_options("full", 8));
  save_state(dir / "full.safetensors", full.start(2));
  nn::EncoderState state = linear.start(2);
  CHECK_THROWS_WITH_AS(
      load_state(dir / "full.safetensors", state),
      doctest::Contains("full.safetensors: state: there is no tensor layers.0.sum"), UserError);
  CHECK_THROWS_AS(load_state(dir / "absent.safetensors", state), IoError);
}

}  // namespace
}  // namespace tarn::train
