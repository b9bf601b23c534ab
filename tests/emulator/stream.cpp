#include "tests/emulator/stream.h"

#include <algorithm>
#include <map>

#include "tests/emulator/emulator.h"

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
    queue_.emplace_back([other, count = other->added_] { other->finish(count); });
    ++added_;
  }
}

void Stream::add(Work work) {
  if (captured_ != nullptr) {
    captured_->work.push_back(std::move(work));
    return;
  }
  wait_for_default_order();
  queue_.push_back(std::move(work));
  ++added_;
  if (settings().schedule == Schedule::eager) finish();
}

bool Stream::do_one() {
  if (queue_.empty()) return false;
  const Work work = std::move(queue_.front());
  queue_.pop_front();
  work();
  ++done_;
  return true;
}

void Stream::finish(std::uint64_t count) {
  while (!finished(count) && do_one()) {
  }
}

}  // namespace emulator
