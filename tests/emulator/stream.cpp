#include "tests/emulator/stream.h"

#include <algorithm>
#include <map>

#include "tests/emulator/allocations.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/random.h"

namespace emulator {
namespace {

std::vector<Stream*>& streams() {
  static std::vector<Stream*> streams;
  return streams;
}

Stream& default_stream(int device) {
  static std::map<int, std::unique_ptr<Stream>> all;
  auto& stream = all[device];
  if (stream == nullptr) stream = std::make_unique<Stream>(device, true);
  return *stream;
}

}  // namespace

Stream::Stream(int device, bool blocking) : device_(device), blocking_(blocking) {
  streams().push_back(this);
}

Stream::~Stream() {
  finish();
  std::erase(streams(), this);
}

Stream* Stream::of(cudaStream_t handle) {
  if (handle != nullptr) return handle;
  int device = 0;
  cudaGetDevice(&device);
  return &default_stream(device);
}

void Stream::finish_device(int device) {
  const std::vector<Stream*> all = streams();
  for (Stream* stream : all) {
    if (stream->device_ == device) stream->finish();
  }
}

// The default stream begins when the blocking ones have finished, and they wait for it.
void Stream::wait_for_default_order() {
  if (!blocking_) return;
  Stream& first = default_stream(device_);
  const std::vector<Stream*> others = this == &first ? streams() : std::vector<Stream*>{&first};
  for (Stream* other : others) {
    if (other == this || other->device_ != device_ || !other->blocking_) continue;
    if (other->finished(other->added_)) continue;
    queue_.emplace_back([other, count = other->added_] {
      other->finish(count);
      return true;
    });
    ++added_;
  }
}

void Stream::begin_capture(bool strict) {
  captured_ = std::make_unique<Graph>();
  strict_ = strict;
}

bool Stream::any_capturing_strictly() {
  return std::any_of(streams().begin(), streams().end(),
                     [](const Stream* stream) { return stream->capturing() && stream->strict_; });
}

void Stream::add(const char* name, const std::vector<const void*>& addresses, Work work) {
  Node node{name, {}, std::move(work)};
  for (const void* address : addresses) {
    if (!capturing()) break;
    const Allocation* allocation = find_allocation(address);
    if (allocation != nullptr) node.memory.push_back({address, allocation->number});
  }
  add(std::move(node));
}

void Stream::add(Node node) {
  if (!capturing()) return add(std::move(node.work));
  captured_->nodes.push_back(std::move(node));
}

void Stream::add(Work work) {
  add_attempt([work = std::move(work)] {
    work();
    return true;
  });
}

void Stream::add_attempt(Attempt attempt) {
  wait_for_default_order();
  queue_.push_back(std::move(attempt));
  ++added_;
  if (settings().schedule == Schedule::eager) finish();
  if (settings().schedule == Schedule::random) go_on_at_random();
}

void Stream::go_on_at_random() {
  static std::uint64_t seed = 0, random = 0;
  if (seed != settings().seed) {
    seed = settings().seed;
    random = seed * 0x9E3779B97F4A7C15ULL + 1;
  }
  const std::vector<Stream*> all = streams();
  for (Stream* stream : all) {
    while (next_random(random) % 2 == 0 && stream->do_one()) {
    }
  }
}

bool Stream::do_one() {
  if (queue_.empty()) return false;
  Attempt attempt = std::move(queue_.front());
  queue_.pop_front();
  if (attempt()) {
    ++done_;
  } else {
    queue_.push_front(std::move(attempt));
  }
  return true;
}

void Stream::finish(std::uint64_t count) {
  while (!finished(count) && do_one()) {
  }
}

}  // namespace emulator
