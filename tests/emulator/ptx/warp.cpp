#include "tests/emulator/ptx/warp.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "tests/emulator/ptx/thread_block.h"

namespace emulator::ptx {
namespace {

constexpr std::size_t kAlign = 64;  // of registers, for vectors of the host
constexpr std::uint32_t kNowhere = std::numeric_limits<std::uint32_t>::max();

void fill(std::byte* row, Operand operand, std::uint64_t bits) {
  if (operand.bytes == 0) {
    const Mask mask = bits != 0 ? kAllLanes : 0;
    std::memcpy(row, &mask, sizeof mask);
    return;
  }
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    std::memcpy(row + lane * operand.bytes, &bits, operand.bytes);
  }
}

}  // namespace

Warp::Warp(ThreadBlock& block, unsigned number, unsigned lanes)
    : block_(block),
      number_(number),
      existing_(lanes == kLanes ? kAllLanes : (1U << lanes) - 1),
      memory_(block.kernel().register_bytes + kAlign, std::byte{0xFF}),
      local_(std::size_t{block.kernel().local_bytes} * kLanes) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
  registers_ = memory_.data() + (kAlign - address % kAlign) % kAlign;
  for (const Constant& constant : block.kernel().constants) {
    fill(bytes(constant.operand), constant.operand, constant.bits);
  }
}

void Warp::start() {
  live_ = existing_;
  epoch_ = 1;
  groups_.assign(1, {0, existing_});
  std::fill(local_.begin(), local_.end(), std::byte{0xFF});
  for (const SpecialRegister& special : block_.kernel().specials) {
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      row<std::uint32_t>(special.operand)[lane] =
          block_.special(special.special, special.axis, number_ * kLanes + lane);
    }
  }
}

std::byte* Warp::local(unsigned lane) {
  return local_.data() + std::size_t{block_.kernel().local_bytes} * lane;
}

void Warp::run() {
  std::size_t chosen = 0;
  std::uint32_t others_at = kNowhere;
  while (choose_group(chosen, others_at)) run_group(chosen, others_at);
}

// The ready group that is furthest behind, and where the next of the others stands.
bool Warp::choose_group(std::size_t& chosen, std::uint32_t& others_at) const {
  std::uint32_t first = kNowhere;
  others_at = kNowhere;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    if (groups_[i].state != State::ready) continue;
    if (groups_[i].at < first) {
      others_at = first;
      first = groups_[i].at;
      chosen = i;
    } else {
      others_at = std::min(others_at, groups_[i].at);
    }
  }
  return first != kNowhere;
}

void Warp::run_group(std::size_t index, std::uint32_t others_at) {
  while (step(index)) {
    if (groups_[index].at >= others_at) return join_groups();
  }
}

bool Warp::step(std::size_t index) {
  Group& group = groups_[index];
  const Instruction& instruction = block_.kernel().code[group.at];
  Mask active = group.lanes;
  if (instruction.guarded) {
    const Mask guard = predicate(instruction.guard);
    active &= instruction.guard_negated ? ~guard : guard;
  }
  Counts& counts = block_.counts();
  ++counts.warp_instructions;
  if (instruction.fused) counts.fused += static_cast<std::uint64_t>(std::popcount(active));
  switch (instruction.flow) {
    case Flow::next:
      if (active != 0) instruction.execute(*this, instruction, active);
      ++group.at;
      return true;
    case Flow::branch:
      branch(index, active, instruction);
      return false;
    case Flow::exit:
      live_ &= ~active;
      group.lanes &= ~active;
      ++group.at;
      if (group.lanes == 0) groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(index));
      // Lanes that wait may have waited for these alone.
      for (std::size_t i = 0; i < groups_.size(); ++i) {
        if (groups_[i].state == State::at_collective && arrive(i)) break;
      }
      return false;
    case Flow::barrier:
    case Flow::collective:
      if (active != group.lanes) {
        if (active == 0) {
          ++group.at;
          return true;
        }
        const Group passing{group.at + 1, group.lanes & ~active};
        group.lanes = active;
        groups_.push_back(passing);
      }
      if (instruction.flow == Flow::barrier) {
        groups_[index].state = State::at_barrier;
      } else {
        groups_[index].state = State::at_collective;
        arrive(index);
      }
      return false;
  }
  return false;
}

void Warp::branch(std::size_t index, Mask taken, const Instruction& instruction) {
  Group& group = groups_[index];
  const Mask passing = group.lanes & ~taken;
  if (taken == 0) {
    ++group.at;
  } else if (passing == 0) {
    group.at = instruction.target;
  } else {
    group.lanes = passing;
    ++group.at;
    groups_.push_back({instruction.target, taken});
  }
  join_groups();
}

// Lets the lanes of a collective's mask go on together if all that have not returned wait at it.
bool Warp::arrive(std::size_t index) {
  const std::uint32_t at = groups_[index].at;
  const Instruction& instruction = block_.kernel().code[at];
  const auto first = static_cast<unsigned>(std::countr_zero(groups_[index].lanes));
  const Operand members = instruction.operands[instruction.destinations + instruction.sources - 1];
  const Mask mask = row<Mask>(members)[first];
  if ((mask >> first & 1) == 0) {
    block_.stop(*this, first, instruction, FaultKind::divergence,
                text_of("the lane is not in its own mask %08x", mask));
  }
  Mask present = 0;
  for (const Group& group : groups_) {
    if (group.state != State::at_collective || group.at != at) continue;
    for (Mask left = group.lanes & mask; left != 0; left &= left - 1) {
      const auto lane = static_cast<unsigned>(std::countr_zero(left));
      if (row<Mask>(members)[lane] == mask) present |= 1U << lane;
    }
  }
  if (present != (mask & live_)) return false;
  for (Group& group : groups_) {
    if (group.state == State::at_collective && group.at == at) group.lanes &= ~present;
  }
  std::erase_if(groups_, [](const Group& group) { return group.lanes == 0; });
  ++epoch_;
  if (instruction.execute != nullptr) instruction.execute(*this, instruction, present);
  groups_.push_back({at + 1, present});
  join_groups();
  return true;
}

// Ready groups at one place become one.
void Warp::join_groups() {
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    for (std::size_t j = groups_.size() - 1; j > i; --j) {
      if (groups_[j].at != groups_[i].at || groups_[j].state != groups_[i].state) continue;
      if (groups_[i].state == State::at_collective) continue;  // masks may differ
      groups_[i].lanes |= groups_[j].lanes;
      groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(j));
    }
  }
}

void Warp::pass_barrier() {
  for (Group& group : groups_) {
    ++group.at;
    group.state = State::ready;
  }
  join_groups();
}

}  // namespace emulator::ptx
