#include "tests/emulator/allocations.h"

#include <cstdlib>
#include <cstring>
#include <map>

#include "tests/emulator/emulator.h"
#include "tests/emulator/faults.h"

namespace emulator {
namespace {

constexpr std::size_t kAlign = 256;

struct Registry {
  std::map<const char*, std::unique_ptr<Allocation>> by_begin;
  std::uint64_t allocated = 0;  // so far
  Allocation* last = nullptr;   // the one found last: most accesses go to few allocations
};

Registry& registry() {
  static Registry registry;
  return registry;
}

}  // namespace

void* allocate(std::size_t bytes, int device) {
  if (device != kPinnedHost && bytes_in_use(device) + bytes > settings().device_bytes) {
    return nullptr;
  }
  // Never two allocations side by side: what runs over the end of one must not land in another.
  const std::size_t reserved = (bytes + 2 * kAlign - 1) / kAlign * kAlign;
  auto* memory = static_cast<char*>(std::aligned_alloc(kAlign, reserved));
  if (memory == nullptr) return nullptr;
  std::memset(memory, 0xFF, reserved);
  auto allocation =
      std::make_unique<Allocation>(Allocation{memory, bytes, device, ++registry().allocated, {}});
  if (checking() && device != kPinnedHost) {
    allocation->cells.resize((bytes + kCellBytes - 1) / kCellBytes);
  }
  registry().by_begin[memory] = std::move(allocation);
  return memory;
}

bool release(void* memory, bool of_host) {
  auto& all = registry().by_begin;
  const auto found = all.find(static_cast<const char*>(memory));
  if (found == all.end() || (found->second->device == kPinnedHost) != of_host) return false;
  registry().last = nullptr;
  all.erase(found);
  std::free(memory);
  return true;
}

Allocation* find_allocation(const void* address) {
  Registry& r = registry();
  if (r.last != nullptr && r.last->holds(address, 1)) return r.last;
  auto after = r.by_begin.upper_bound(static_cast<const char*>(address));
  if (after == r.by_begin.begin()) return nullptr;
  Allocation* candidate = std::prev(after)->second.get();
  if (!candidate->holds(address, 1)) return nullptr;
  return r.last = candidate;
}

Allocation* device_range(const void* address, std::size_t bytes, const char* what) {
  Allocation* allocation = find_allocation(address);
  if (allocation != nullptr && allocation->device != kPinnedHost &&
      allocation->holds(address, bytes)) {
    return allocation;
  }
  report(FaultKind::out_of_bounds,
         text_of("%s: %zu bytes at %p do not lie in one allocation of a device", what, bytes,
                 address));
  return nullptr;
}

std::size_t bytes_in_use(int device) {
  std::size_t sum = 0;
  for (const auto& [begin, allocation] : registry().by_begin) {
    if (allocation->device == device) sum += allocation->bytes;
  }
  return sum;
}

}  // namespace emulator
