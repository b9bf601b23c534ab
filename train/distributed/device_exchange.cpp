#include "train/distributed/device_exchange.h"

#include <algorithm>

#include "core/transfer.h"

namespace tarn::train {
namespace {

// Makes the side queue the one to which this thread's work goes, until the end of the scope.
class Aside {
 public:
  explicit Aside(SideQueue& queue) : queue_(queue) { queue.begin(); }
  ~Aside() { queue_.end(); }
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

 private:
  SideQueue& queue_;
};

}  // namespace

// Else the device would wait for messages of which nobody hears whether they come, in memory that
// is given back.
DeviceExchange::~DeviceExchange() {
  if (buckets_ && !finished_) ranks_.disconnect_devices();
}

void DeviceExchange::begin(const Tensor& gradient) {
  if (buckets_) return;
  device_ = gradient.device();
  runtime_ = &runtime_of(device_);
  queue_ = &runtime_->side_queue(device_.index);
  begun_ = mark();
  buckets_ = Buckets::of(gradient.elements());
  tree_.keep_last(gradient);
}

// The memory of all that this asks for stays until finish(): gradients and received parts are the
// tree's.
void DeviceExchange::add_up_from(std::int64_t first) {
  for (; !buckets_->done() && buckets_->first() >= first; buckets_->next()) {
    const Aside aside(*queue_);
    std::unique_ptr<DeviceMark> start = mark();
    tree_.add_up(buckets_->first(), buckets_->count());
    spells_.push_back({std::move(start), mark()});
  }
}

void DeviceExchange::progress(const Tensor& gradient, std::int64_t first) {
  begin(gradient);
  // With element 0 goes what is not gradient, which is not known yet.
  add_up_from(std::max<std::int64_t>(1, first));
}

ExchangeTime DeviceExchange::finish(const ShardSum& last) {
  begin(last.gradient);
  const std::unique_ptr<DeviceMark> computed = mark();
  // What a device still computes counts neither as exchange nor to the others' patience.
  wait_for(device_);
  tree_.keep_rest_of_last(last);
  add_up_from(0);
  ranks_.wait_for_devices();
  queue_->wait();  // the sums behind the last message; what is asked for from now on comes after
  finished_ = true;
  return time_until(*computed);
}

ExchangeTime DeviceExchange::time_until(const DeviceMark& computed) const {
  const double end_of_work = computed.seconds_since(*begun_);
  ExchangeTime time;
  for (const Spell& spell : spells_) {
    const double start = spell.start->seconds_since(*begun_);
    const double end = spell.end->seconds_since(*begun_);
    time.seconds += end - start;
    time.hidden += std::max(0.0, std::min(end, end_of_work) - start);
  }
  return time;
}

}  // namespace tarn::train
