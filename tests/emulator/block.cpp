#include "tests/emulator/block.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "tests/emulator/emulator.h"
#include "tests/emulator/faults.h"
#include "tests/emulator/random.h"

uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {
namespace {

Block* g_running = nullptr;

bool same_place(const Location& a, const Location& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         std::strcmp(a.file_name(), b.file_name()) == 0;
}

bool within(const void* address, const void* begin, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(begin) <
         bytes;
}

std::string text(const Location& where) {
  return text_of("%s:%u:%u", where.file_name(), where.line(), where.column());
}

}  // namespace

void run_grid(const Launch& launch) {
  static std::uint32_t launches = 0;
  static Block block;  // one at a time; its memory is kept
  const dim3& grid = launch.grid;
  std::vector<unsigned> order(std::size_t{grid.x} * grid.y * grid.z);
  std::iota(order.begin(), order.end(), 0U);
  std::uint64_t random = settings().seed * 0x9E3779B97F4A7C15ULL + 1;
  arrange(order, random);
  blockDim = {launch.block.x, launch.block.y, launch.block.z};
  gridDim = {grid.x, grid.y, grid.z};
  ++launches;
  for (const unsigned i : order) {
    const dim3 position(i % grid.x, i / grid.x % grid.y, i / (grid.x * grid.y));
    if (!block.run(launch, launches, i, position)) return;
  }
}

Block* Block::running() { return g_running; }

bool Block::run(const Launch& launch, std::uint32_t launch_number, unsigned index, dim3 position) {
  launch_ = &launch;
  index_ = index;
  blockIdx = {position.x, position.y, position.z};
  if (launch_number_ != launch_number) {  // the grid's first block: its arrays are not known yet
    launch_number_ = launch_number;
    random_ = settings().seed * 0xD1342543DE82EF95ULL + 1;
    arrays_.clear();
    used_ = 0;
    dynamic_ =
        launch.dynamic_shared > 0 ? place(&dynamic_, launch.dynamic_shared, 128) : SharedArray{};
  }
  for (const SharedArray& array : arrays_) poison(array);
  g_running = this;
  start_threads();
  while (live_ > 0 && !stopped_) {
    if (first_ready_ == ready_.size()) {
      report_deadlock();
      stopped_ = true;
      break;
    }
    current_ = &threads_[ready_[first_ready_++]];
    threadIdx = current_->index;
    emulator_switch_fiber(&scheduler_at_, current_->stopped_at);
  }
  current_ = nullptr;
  g_running = nullptr;
  return !stopped_;
}

void Block::stop() {
  stopped_ = true;
  emulator_switch_fiber(&current_->stopped_at, scheduler_at_);
  std::abort();  // the scheduler does not come back to it
}

void Block::start_threads() {
  const dim3& size = launch_->block;
  const unsigned count = size.x * size.y * size.z;
  stacks_ = fiber_stacks(count);
  threads_.assign(count, {});
  warps_.resize((count + kWarp - 1) / kWarp);
  for (std::size_t w = 0; w < warps_.size(); ++w) {
    const unsigned lanes = std::min<unsigned>(kWarp, count - static_cast<unsigned>(w) * kWarp);
    warps_[w].live = lanes == kWarp ? ~0U : (1U << lanes) - 1;
    warps_[w].epoch = 1;
  }
  block_epoch_ = 1;
  stopped_ = false;
  live_ = count;
  waiting_ = 0;
  ready_.clear();
  first_ready_ = 0;
  std::vector<unsigned> all(count);
  for (unsigned i = 0; i < count; ++i) {
    threads_[i].number = i;
    threads_[i].index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
    threads_[i].stopped_at = prepare_fiber(stacks_ + i * kStackBytes, i, thread_main);
    all[i] = i;
  }
  release(all);
}

void Block::thread_main() {
  Block& block = *g_running;
  block.launch_->invoke(block.launch_->arguments.data());
  Thread& me = *block.current_;
  me.state = State::done;
  --block.live_;
  const unsigned warp = me.number / kWarp;
  block.warps_[warp].live &= ~(1U << me.number % kWarp);
  block.try_block_barrier();  // those that wait may have waited for this thread alone
  for (unsigned i = warp * kWarp;
       i < std::min<std::size_t>((warp + 1) * kWarp, block.threads_.size()); ++i) {
    const Thread& other = block.threads_[i];
    if (other.state == State::at_warp_barrier && block.try_warp_barrier(warp, other.mask)) break;
  }
  block.give_way();
  std::abort();  // a thread that is done is never run again
}

// Leaves the running thread and goes on with the next one that can run, or with the scheduler.
void Block::give_way() {
  Thread* me = current_;
  if (first_ready_ == ready_.size()) return emulator_switch_fiber(&me->stopped_at, scheduler_at_);
  current_ = &threads_[ready_[first_ready_++]];
  if (current_ == me) return;
  threadIdx = current_->index;
  emulator_switch_fiber(&me->stopped_at, current_->stopped_at);
}

void Block::release(std::vector<unsigned>& threads) {
  arrange(threads, random_);
  if (first_ready_ == ready_.size()) {
    ready_.clear();
    first_ready_ = 0;
  }
  for (const unsigned i : threads) {
    threads_[i].state = State::ready;
    ready_.push_back(i);
  }
}

void Block::wait_for_block(Location where) {
  current_->state = State::at_block_barrier;
  current_->where = where;
  ++waiting_;
  try_block_barrier();
  give_way();
}

// Lets the block go on if all threads that have not returned wait at the barrier.
bool Block::try_block_barrier() {
  if (live_ == 0 || waiting_ != live_) return false;
  std::vector<unsigned> released;
  for (const Thread& thread : threads_) {
    if (thread.state != State::at_block_barrier) continue;
    const Location& first = threads_[released.empty() ? thread.number : released[0]].where;
    if (!same_place(first, thread.where)) {
      report(FaultKind::divergence, "threads of one block meet at different __syncthreads, " +
                                        text(first) + " and " + text(thread.where));
    }
    released.push_back(thread.number);
  }
  if (released.size() != threads_.size()) {
    report(FaultKind::divergence,
           text_of("__syncthreads at %s is reached by %zu of %zu threads, the others returned",
                   text(threads_[released[0]].where).c_str(), released.size(), threads_.size()));
  }
  waiting_ = 0;
  ++block_epoch_;
  release(released);
  return true;
}

void Block::wait_for_warp(unsigned mask, Location where) {
  if ((mask >> lane() & 1) == 0) {
    report(FaultKind::divergence,
           text_of("the lane at %s is not in its own mask %08x", text(where).c_str(), mask));
  }
  current_->state = State::at_warp_barrier;
  current_->mask = mask;
  current_->where = where;
  try_warp_barrier(current_->number / kWarp, mask);
  give_way();
}

// Lets the lanes of the mask go on if all of them that have not returned wait.
bool Block::try_warp_barrier(unsigned warp, unsigned mask) {
  std::vector<unsigned> released;
  for (unsigned left = mask & warps_[warp].live; left != 0; left &= left - 1) {
    const Thread& thread = threads_[warp * kWarp + static_cast<unsigned>(std::countr_zero(left))];
    if (thread.state != State::at_warp_barrier) return false;
    released.push_back(thread.number);
  }
  if (released.empty()) return false;
  const Thread& first = threads_[released[0]];
  for (const unsigned i : released) {
    if (threads_[i].mask == first.mask && same_place(threads_[i].where, first.where)) continue;
    report(FaultKind::divergence, "lanes of one warp meet in different collectives or masks, " +
                                      text(first.where) + " and " + text(threads_[i].where));
    break;
  }
  ++warps_[warp].epoch;
  release(released);
  return true;
}

void Block::report_deadlock() {
  std::string places;
  unsigned at_block = 0, at_warp = 0;
  for (const Thread& thread : threads_) {
    const bool block = thread.state == State::at_block_barrier;
    if (!block && thread.state != State::at_warp_barrier) continue;
    unsigned& count = block ? at_block : at_warp;
    if (count++ == 0) places += (places.empty() ? "" : " and ") + text(thread.where);
  }
  report(FaultKind::divergence,
         text_of("deadlock: %u threads wait at __syncthreads, %u in a warp's collective, %zu "
                 "returned: ",
                 at_block, at_warp, threads_.size() - live_) +
             places);
}

std::string Block::position() const {
  const uint3& t = current_ == nullptr ? uint3{} : current_->index;
  return text_of("block (%u,%u,%u) thread (%u,%u,%u)", blockIdx.x, blockIdx.y, blockIdx.z, t.x, t.y,
                 t.z);
}

Present Block::present(std::size_t bytes) const {
  Present present;
  present.block_threads = static_cast<std::uint32_t>(threads_.size());
  present.launch = launch_number_;
  present.access.thread = 1 + index_ * present.block_threads + current_->number;
  present.access.block_epoch = block_epoch_;
  present.access.warp_epoch = warps_[current_->number / kWarp].epoch;
  present.access.bytes = static_cast<std::uint8_t>(bytes);
  return present;
}

bool Block::owns_stack(const void* address) const {
  return within(address, stacks_ + current_->number * kStackBytes, kStackBytes);
}
bool Block::other_stack(const void* address) const {
  return within(address, stacks_, threads_.size() * kStackBytes) && !owns_stack(address);
}
bool Block::is_argument(const void* address) const {
  return within(address, launch_->arguments.data(), launch_->arguments.size());
}
bool Block::is_own_bookkeeping(const void* address) const {
  return within(address, warps_.data(), warps_.size() * sizeof(Warp)) ||
         within(address, threads_.data(), threads_.size() * sizeof(Thread)) ||
         within(address, this, sizeof *this);
}
bool Block::in_arena(const void* address) const {
  return within(address, arena_.data(), arena_.size());
}

}  // namespace emulator
