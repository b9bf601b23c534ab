// The memory that the runtime handed out: of devices, and pinned memory of the host.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "tests/emulator/shadow.h"

namespace emulator {

constexpr int kPinnedHost = -1;  // in place of a device's number

struct Allocation {
  char* begin;
  std::size_t bytes;
  int device;               // or kPinnedHost
  std::uint64_t number;     // no other allocation has it, not even one in the same place
  std::vector<Cell> cells;  // of the checker, one for every kCellBytes; empty without it

  bool holds(const void* address, std::size_t count) const {
    const char* p = static_cast<const char*>(address);
    return p >= begin && p + count <= begin + bytes;
  }
};

// New memory, aligned to 256 bytes and filled with 0xFF, which is NaN in every float type. Null
// when the device's memory (settings().device_bytes) is used up.
void* allocate(std::size_t bytes, int device);

// Gives memory back; false if it was not handed out, or for the other side.
bool release(void* memory, bool of_host);

// The allocation in which the address lies, or null.
Allocation* find_allocation(const void* address);

// The allocation of a device that holds all bytes of the range; otherwise null, after a report that
// begins with `what`.
Allocation* device_range(const void* address, std::size_t bytes, const char* what);

std::size_t bytes_in_use(int device);

}  // namespace emulator
