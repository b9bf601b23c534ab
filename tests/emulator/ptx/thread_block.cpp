#include "tests/emulator/ptx/thread_block.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "tests/emulator/random.h"

namespace emulator::ptx {
namespace {

unsigned along(const dim3& size, unsigned axis) {
  return axis == 0 ? size.x : axis == 1 ? size.y : size.z;
}

// The coordinate of the number'th element, of which x goes first.
unsigned coordinate(const dim3& size, unsigned axis, unsigned number) {
  return axis == 0   ? number % size.x
         : axis == 1 ? number / size.x % size.y
                     : number / (size.x * size.y);
}

}  // namespace

ThreadBlock::ThreadBlock(const Grid& grid, Counts& counts)
    : grid_(grid),
      counts_(counts),
      threads_(grid.block.x * grid.block.y * grid.block.z),
      shared_(grid.kernel.shared_bytes),
      cells_(grid.kernel.shared_bytes / kCellBytes + 1),
      in_array_(grid.kernel.shared_bytes) {
  for (const Place& array : grid.kernel.shared) {
    std::fill_n(in_array_.begin() + array.offset, array.bytes, std::uint8_t{1});
  }
  warps_.reserve((threads_ + kLanes - 1) / kLanes);
  for (unsigned first = 0; first < threads_; first += kLanes) {
    warps_.emplace_back(*this, first / kLanes, std::min(kLanes, threads_ - first));
  }
}

std::uint32_t ThreadBlock::special(Special special, unsigned axis, unsigned thread) const {
  switch (special) {
    case Special::tid:
      return coordinate(grid_.block, axis, thread);
    case Special::ctaid:
      return coordinate(grid_.grid, axis, index_);
    case Special::ntid:
      return along(grid_.block, axis);
    case Special::nctaid:
      return along(grid_.grid, axis);
    case Special::laneid:
      return thread % kLanes;
  }
  return 0;
}

void ThreadBlock::run(unsigned index, std::uint64_t& random) {
  index_ = index;
  epoch_ = 1;
  std::fill(shared_.begin(), shared_.end(), std::byte{0xFF});
  std::fill(cells_.begin(), cells_.end(), Cell{});
  for (Warp& warp : warps_) warp.start();
  ++counts_.blocks;
  std::vector<unsigned> order(warps_.size());
  std::iota(order.begin(), order.end(), 0U);
  for (;;) {
    arrange(order, random);
    for (const unsigned i : order) warps_[i].run();
    if (std::all_of(warps_.begin(), warps_.end(), [](const Warp& w) { return w.live() == 0; })) {
      return;
    }
    pass_barrier();
  }
}

// All that have not returned must wait at one barrier, and none may have returned.
void ThreadBlock::pass_barrier() {
  const Warp* first = nullptr;
  std::uint32_t at = 0;
  for (const Warp& warp : warps_) {
    for (const Warp::Group& group : warp.groups()) {
      const Instruction& instruction = kernel().code[group.at];
      const auto lane = static_cast<unsigned>(std::countr_zero(group.lanes));
      if (group.state == Warp::State::at_collective) {
        stop(warp, lane, instruction, FaultKind::divergence,
             "deadlock: the lane waits for others of its warp, which wait elsewhere");
      }
      if (first == nullptr) at = group.at;
      first = &warp;
      if (group.at != at) {
        stop(warp, lane, instruction, FaultKind::divergence,
             "threads of one block meet at different barriers, here and at " +
                 kernel().place_of(kernel().code[at]));
      }
    }
    if (warp.returned() == 0) continue;
    stop(warp, static_cast<unsigned>(std::countr_zero(warp.returned())), kernel().code[at],
         FaultKind::divergence, "threads of the block wait at a barrier, and this one returned");
  }
  ++epoch_;
  ++counts_.barriers;
  for (Warp& warp : warps_) warp.pass_barrier();
}

void ThreadBlock::fault(const Warp& warp, unsigned lane, const Instruction& at, FaultKind kind,
                        const std::string& text) {
  const unsigned thread = warp.number() * kLanes + lane;
  const auto place = [](const dim3& size, unsigned number) {
    return text_of("(%u,%u,%u)", coordinate(size, 0, number), coordinate(size, 1, number),
                   coordinate(size, 2, number));
  };
  report_in(kernel().name, kind,
            kernel().name + " block " + place(grid_.grid, index_) + " thread " +
                place(grid_.block, thread) + ": " + text + " at " + kernel().place_of(at),
            &at);
}

void ThreadBlock::stop(const Warp& warp, unsigned lane, const Instruction& at, FaultKind kind,
                       const std::string& text) {
  fault(warp, lane, at, kind, text);
  throw Stopped{};
}

}  // namespace emulator::ptx
