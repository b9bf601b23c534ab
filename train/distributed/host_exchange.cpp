#include "train/distributed/host_exchange.h"

#include <algorithm>

#include "core/transfer.h"
#include "kernels/backend.h"
#include "train/distributed/buckets.h"

namespace tarn::train {
namespace {

template <class Time>
double seconds_between(Time start, Time end) {
  return std::max(0.0, std::chrono::duration<double>(end - start).count());
}

}  // namespace

void HostExchange::progress(const Tensor& gradient, std::int64_t first) {
  if (gradient.device() != Device::cpu()) return;
  {
    const std::lock_guard lock(mutex_);
    complete_from_ = first;
  }
  complete_.notify_one();
  if (thread_.joinable()) return;
  tree_.keep_last(gradient);
  thread_ = std::jthread([this, gradient](const std::stop_token& stop) {
    kernels::use_no_other_cpu_threads();
    try {
      add_buckets(gradient, stop);
    } catch (...) {
      error_ = std::current_exception();
    }
  });
}

ExchangeTime HostExchange::finish(const ShardSum& last) {
  wait_for(last.gradient.device());  // what it still computes is no exchange
  const Clock::time_point computed = Clock::now();
  if (!thread_.joinable()) tree_.keep_last(last.gradient);
  {
    const std::lock_guard lock(mutex_);
    tree_.keep_rest_of_last(last);
    complete_from_ = 0;
    all_ = true;
  }
  complete_.notify_one();
  if (thread_.joinable()) {
    thread_.join();
  } else {
    add_buckets(last.gradient, {});
  }
  if (error_) std::rethrow_exception(error_);
  ExchangeTime time;
  for (const Spell& spell : spells_) {
    time.seconds += seconds_between(spell.start, spell.end);
    time.hidden += seconds_between(spell.start, std::min(spell.end, computed));
  }
  return time;
}

void HostExchange::add_buckets(const Tensor& gradient, const std::stop_token& stop) {
  const std::int64_t elements = gradient.elements();
  Buckets buckets =
      gradient.device() == Device::cpu() ? Buckets::of(elements) : Buckets::one(elements);
  for (; !buckets.done(); buckets.next()) {
    const std::int64_t first = buckets.first();
    {
      std::unique_lock lock(mutex_);
      const auto ready = [&] { return first > 0 ? complete_from_ <= first : all_; };
      if (!complete_.wait(lock, stop, ready)) return;  // the shard failed
    }
    const Clock::time_point start = Clock::now();
    tree_.add_up(first, buckets.count());
    spells_.push_back({start, Clock::now()});
  }
}

}  // namespace tarn::train
