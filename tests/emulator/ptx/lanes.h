// Instructions that do the same for each lane.
#pragma once

#include <bit>
#include <utility>

#include "tests/emulator/ptx/table.h"
#include "tests/emulator/ptx/warp.h"

namespace emulator::ptx {

// f(lane) for each lane of the mask. Whole warps are the rule, and are worth a loop of their own
// that the compiler can vectorise: a lane reads and writes elements of its own only.
template <class F>
inline void for_lanes(Mask mask, const F& f) {
  if (mask == kAllLanes) {
#if !defined(__clang__)  // which has no word for it
#pragma GCC ivdep
#endif
    for (unsigned lane = 0; lane < kLanes; ++lane) f(lane);
    return;
  }
  for (; mask != 0; mask &= mask - 1) f(static_cast<unsigned>(std::countr_zero(mask)));
}

template <class F, class Result, class... Arguments, std::size_t... i>
void apply_to_rows(Warp& warp, const Instruction& at, Mask mask, std::index_sequence<i...>) {
  Result* to = warp.row<Result>(at.operands[0]);
  const auto compute = [&](const Arguments*... from) {
    for_lanes(mask, [=](unsigned lane) { to[lane] = static_cast<Result>(F{}(from[lane]...)); });
  };
  compute(warp.row<Arguments>(at.operands[i + 1])...);
}

template <class F, class Result, class... Arguments>
void execute_lanes(Warp& warp, const Instruction& at, Mask mask) {
  apply_to_rows<F, Result, Arguments...>(warp, at, mask, std::index_sequence_for<Arguments...>{});
}

// The rule of an instruction that computes result = f(arguments...); f captures nothing.
template <class Result, class... Arguments, class F>
Rule per_lane(F /*f*/) {
  return {.execute = execute_lanes<F, Result, Arguments...>,
          .widths = {sizeof(Result), sizeof(Arguments)...}};
}

}  // namespace emulator::ptx
