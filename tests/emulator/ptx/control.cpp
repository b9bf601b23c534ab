// Branches, barriers, and what the lanes of a warp exchange.
#include <algorithm>
#include <bit>

#include "tests/emulator/ptx/lanes.h"

namespace emulator::ptx {
namespace {

enum class Shuffle { up, bfly, idx };

// Operands: the result, whether the source lane was in range, the value, its lane or distance, the
// clamp and segment mask, the members.
template <Shuffle kind>
void shuffle(Warp& warp, const Instruction& at, Mask mask) {
  const std::uint32_t* values = warp.row<std::uint32_t>(at.operands[2]);
  const std::uint32_t* by = warp.row<std::uint32_t>(at.operands[3]);
  const std::uint32_t* controls = warp.row<std::uint32_t>(at.operands[4]);
  std::array<std::uint32_t, kLanes> old;
  std::copy_n(values, kLanes, old.begin());
  std::uint32_t* to = warp.row<std::uint32_t>(at.operands[0]);
  Mask in_range = 0;
  for_lanes(mask, [&](unsigned lane) {
    const unsigned distance = by[lane] & 31, clamp = controls[lane] & 31;
    const unsigned segment = controls[lane] >> 8 & 31;
    const unsigned last = (lane & segment) | (clamp & ~segment);
    const unsigned first = lane & segment;
    unsigned from = lane;
    bool inside = false;
    if constexpr (kind == Shuffle::up) {
      from = lane - distance;
      inside = static_cast<int>(from) >= static_cast<int>(last);
    } else if constexpr (kind == Shuffle::bfly) {
      from = lane ^ distance;
      inside = from <= last;
    } else {
      from = first | (distance & ~segment);
      inside = from <= last;
    }
    if (inside) in_range |= 1U << lane;
    to[lane] = old[inside ? from : lane];
  });
  Mask& predicate = warp.predicate(at.operands[1]);
  predicate = (predicate & ~mask) | in_range;
}

void ballot(Warp& warp, const Instruction& at, Mask mask) {
  const Mask votes = warp.predicate(at.operands[1]) & mask;
  Mask* to = warp.row<Mask>(at.operands[0]);
  for_lanes(mask, [=](unsigned lane) { to[lane] = votes; });
}

}  // namespace

void add_control(Table& table) {
  for (const char* name : {"bra", "bra.uni"}) {
    table[name] = {.form = Form::label, .flow = Flow::branch};
  }
  table["ret"] = {.flow = Flow::exit, .destinations = 0};
  table["bar.sync"] = {.form = Form::barrier, .flow = Flow::barrier};
  table["bar.warp.sync"] = {.widths = {4}, .flow = Flow::collective, .destinations = 0};
  table["vote.sync.ballot.b32"] = {
      .execute = ballot, .widths = {4, 0, 4}, .flow = Flow::collective};
  const Rule rule{.form = Form::shuffle, .flow = Flow::collective};
  const auto add = [&](const char* name, Execute execute) {
    table[name] = rule;
    table[name].execute = execute;
  };
  add("shfl.sync.up.b32", shuffle<Shuffle::up>);
  add("shfl.sync.bfly.b32", shuffle<Shuffle::bfly>);
  add("shfl.sync.idx.b32", shuffle<Shuffle::idx>);
}

}  // namespace emulator::ptx
