#include "data/prefetch.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace tarn::data {
namespace {

using Item = std::vector<std::int64_t>;

Item made(std::int64_t index) { return Item(100, index * index); }

TEST_CASE("prefetch: items are those of their index, in whatever order [thread]") {
  Prefetcher<Item> ahead(made);
  for (const std::int64_t index : {0, 1, 2, 3, 3, 2, 9, 10, 11, 0, 1, 5}) {
    CHECK(ahead.get(index) == made(index));
  }
}

TEST_CASE("prefetch: the next item is made once, by another thread, while one is used [thread]") {
  std::atomic<int> calls{0}, at_once{0};
  std::atomic<bool> overlapped{false};
  std::vector<std::thread::id> makers(8);
  {
    Prefetcher<std::int64_t> ahead([&](std::int64_t index) {
      overlapped = overlapped || at_once++ > 0;
      makers[static_cast<std::size_t>(index)] = std::this_thread::get_id();
      ++calls;
      --at_once;
      return index;
    });
    for (std::int64_t index = 0; index < 7; ++index) {
      CHECK(ahead.get(index) == index);
      while (calls < index + 2) std::this_thread::yield();  // the next comes without being asked
    }
  }
  CHECK(calls == 8);
  CHECK_FALSE(overlapped);
  CHECK(makers[0] == std::this_thread::get_id());
  for (std::size_t i = 1; i < makers.size(); ++i) CHECK(makers[i] != std::this_thread::get_id());
}

TEST_CASE("prefetch: what making an item throws is thrown where it is asked for [thread]") {
  Prefetcher<std::int64_t> ahead([](std::int64_t index) {
    if (index == 3) throw std::runtime_error("item 3 is damaged");
    return index;
  });
  for (int again = 0; again < 2; ++again) {
    CHECK(ahead.get(2) == 2);
    CHECK_THROWS_WITH_AS(ahead.get(3), "item 3 is damaged", std::runtime_error);
    CHECK_THROWS_WITH_AS(ahead.get(3), "item 3 is damaged", std::runtime_error);
    CHECK(ahead.get(4) == 4);
    CHECK(ahead.get(2) == 2);
    CHECK(ahead.get(9) == 9);  // the item that fails is left lying
  }
}

TEST_CASE("prefetch: it ends at once, whether used or not, in the middle of an item [thread]") {
  std::atomic<bool> ended{false};
  { const Prefetcher<Item> unused(made); }
  {
    Prefetcher<std::int64_t> ahead([&](std::int64_t index) {
      if (index == 1) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        ended = true;
      }
      return index;
    });
    ahead.get(0);
  }
  CHECK(ended);
}

}  // namespace
}  // namespace tarn::data
