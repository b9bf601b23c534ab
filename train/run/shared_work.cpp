#include "train/run/shared_work.h"

#include <algorithm>

#include "train/run/signals.h"

namespace tarn::train {

void share_work(std::int64_t count, Communicator& ranks,
                const std::function<std::string(std::int64_t)>& make,
                const std::function<void(std::int64_t, const std::string&)>& take) {
  for (std::int64_t first = 0; first < count; first += ranks.size()) {
    stop_if_signalled(ranks);
    const std::int64_t mine = first + ranks.rank();
    std::string made;
    ranks.together([&] {
      if (mine < count) made = make(mine);
    });
    const std::vector<std::string> all = ranks.gather(made);
    ranks.together([&] {
      const auto items = std::min(count - first, static_cast<std::int64_t>(all.size()));
      for (std::int64_t i = 0; i < items; ++i) take(first + i, all[static_cast<std::size_t>(i)]);
    });
  }
}

}  // namespace tarn::train
