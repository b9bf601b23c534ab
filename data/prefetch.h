// Makes the next item on a thread of its own while the one before it is used.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <utility>

namespace tarn::data {

// Items are functions of their index, so that asking for them in another order, or again, changes
// when they are made and nothing else. At most one is made ahead. For one consumer at a time.
template <class Item>
class Prefetcher {
 public:
  // `make` is called on other threads, but never by two at once. What it refers to must outlive the
  // Prefetcher, which waits for it at its end.
  explicit Prefetcher(std::function<Item(std::int64_t)> make) : make_(std::move(make)) {}
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // Item `index`; what make throws for it is thrown here. Begins to make the one after it, whose
  // exception, if it is never asked for, is nobody's concern.
  Item get(std::int64_t index) {
    if (ahead_.valid() && ahead_index_ != index) ahead_.wait();
    Item item = ahead_.valid() && ahead_index_ == index ? ahead_.get() : make_(index);
    ahead_index_ = index + 1;
    ahead_ = std::async(std::launch::async, [this] { return make_(ahead_index_); });
    return item;
  }

 private:
  std::function<Item(std::int64_t)> make_;
  std::int64_t ahead_index_ = 0;
  std::future<Item> ahead_;  // last: it is destroyed, and so waited for, before what it uses
};

}  // namespace tarn::data
