#include "tests/emulator/checker.h"

#include <algorithm>
#include <cstdint>

#include "tests/emulator/allocations.h"
#include "tests/emulator/block.h"
#include "tests/emulator/faults.h"
#include "tests/emulator/ptx/interpreter.h"

extern "C" char __executable_start, _end;

namespace emulator {
namespace {

bool g_checking = false;

// Sites are kept as the distance from this program's beginning, which fits 32 bits.
std::int32_t packed(const void* site) {
  return static_cast<std::int32_t>(static_cast<const char*>(site) - &__executable_start);
}
const void* unpacked(std::int32_t site) { return &__executable_start + site; }

const char* name_of(bool write) { return write ? "write" : "read"; }

// Compares an access with the cells that it touches.
void check_cells(const Block& block, Cell* cells, std::size_t offset, const void* address,
                 std::size_t bytes, bool shared, bool write, bool atomic, const void* site) {
  Present present = block.present(0);
  present.shared = shared;
  present.is_write = write;
  present.access.atomic = atomic;
  present.access.site = packed(site);
  const char* space = shared ? "shared" : "global";
  for (std::size_t i = offset; i < offset + bytes;) {
    const std::size_t in_cell = std::min(kCellBytes - i % kCellBytes, offset + bytes - i);
    present.access.bytes = static_cast<std::uint8_t>(((1U << in_cell) - 1) << i % kCellBytes);
    Cell earlier;
    const Findings found = check(cells[i / kCellBytes], present, earlier);
    if (found.race != nullptr) {
      const unsigned other = found.race->thread - 1;
      return report(FaultKind::race,
                    text_of("race on %s memory at %p: this %s and the %s by thread %u of block %u "
                            "at %s, without a barrier between,",
                            space, address, name_of(write), name_of(found.race_with_write),
                            other % present.block_threads, other / present.block_threads,
                            source_line(unpacked(found.race->site)).c_str()),
                    site);
    }
    if (found.uninitialized) {
      return report(FaultKind::uninitialized,
                    text_of("read of %s memory at %p that was never written", space, address),
                    site);
    }
    i += in_cell;
  }
}

void report_misaligned(const char* space, std::size_t bytes, const void* address,
                       const void* site) {
  report(FaultKind::misaligned,
         text_of("%s access of %zu bytes at %p is not aligned", space, bytes, address), site);
}

// The access would do harm outside of the emulated device, so it is not done.
[[noreturn]] void refuse(Block& block, const std::string& text, const void* site) {
  report(FaultKind::out_of_bounds, text, site);
  block.stop();
}

void check_shared(Block& block, const void* address, std::size_t bytes, bool write, bool atomic,
                  const void* site) {
  Cell* cells = block.shared_cells(address, bytes);
  if (cells == nullptr) {
    refuse(block,
           text_of("%s of %zu bytes at %p, outside of every shared array", name_of(write), bytes,
                   address),
           site);
  }
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0) {
    return report_misaligned("shared", bytes, address, site);
  }
  check_cells(block, cells, reinterpret_cast<std::uintptr_t>(address) % kCellBytes, address, bytes,
              true, write, atomic, site);
}

void check_global(Block& block, Allocation& allocation, const void* address, std::size_t bytes,
                  bool write, bool atomic, const void* site) {
  if (!allocation.holds(address, bytes)) {
    refuse(block,
           text_of("%s of %zu bytes at %p runs over the end of an allocation of %zu bytes",
                   name_of(write), bytes, address, allocation.bytes),
           site);
  }
  if (allocation.device != kPinnedHost && allocation.device != block.device()) {
    refuse(block,
           text_of("%s at %p of memory of device %d by a kernel on device %d", name_of(write),
                   address, allocation.device, block.device()),
           site);
  }
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0) {
    return report_misaligned("global", bytes, address, site);
  }
  if (allocation.device == kPinnedHost) return;
  check_cells(block, allocation.cells.data(),
              static_cast<std::size_t>(static_cast<const char*>(address) - allocation.begin),
              address, bytes, false, write, atomic, site);
}

}  // namespace

bool checking() { return g_checking || ptx::enabled(); }

void check_access(const void* address, std::size_t bytes, bool write, bool atomic,
                  const void* site) {
  Block* block = Block::running();
  if (!g_checking || block == nullptr || block->owns_stack(address)) return;
  if (block->in_arena(address)) {
    return check_shared(*block, address, bytes, write, atomic, site);
  }
  if (Allocation* allocation = find_allocation(address)) {
    return check_global(*block, *allocation, address, bytes, write, atomic, site);
  }
  const char* p = static_cast<const char*>(address);
  const bool in_program = p >= &__executable_start && p < &_end;
  if (in_program && !write) return;  // constants, and the built-in variables
  if ((!write && block->is_argument(address)) || block->is_own_bookkeeping(address)) return;
  if (block->other_stack(address)) {
    refuse(*block, text_of("%s of another thread's local memory at %p", name_of(write), address),
           site);
  }
  refuse(
      *block,
      text_of("%s of %zu bytes at %p, which is not device memory", name_of(write), bytes, address),
      site);
}

void check_read(const void* address, std::size_t bytes, const char* what) {
  const Allocation* allocation = device_range(address, bytes, what);
  if (allocation == nullptr || !checking()) return;
  const auto offset =
      static_cast<std::size_t>(static_cast<const char*>(address) - allocation->begin);
  if (!is_initialized(allocation->cells.data(), offset, bytes)) {
    report(FaultKind::uninitialized,
           text_of("%s: some of %zu bytes at %p were never written", what, bytes, address));
  }
}

void check_write(void* address, std::size_t bytes, const char* what) {
  Allocation* allocation = device_range(address, bytes, what);
  if (allocation == nullptr || !checking()) return;
  mark_initialized(allocation->cells.data(),
                   static_cast<std::size_t>(static_cast<char*>(address) - allocation->begin),
                   bytes);
}

void check_copy(void* to, const void* from, std::size_t bytes, const char* what) {
  const Allocation* source = device_range(from, bytes, what);
  Allocation* target = device_range(to, bytes, what);
  if (source == nullptr || target == nullptr || !checking()) return;
  copy_initialized(source->cells.data(),
                   static_cast<std::size_t>(static_cast<const char*>(from) - source->begin),
                   target->cells.data(),
                   static_cast<std::size_t>(static_cast<char*>(to) - target->begin), bytes);
}

}  // namespace emulator

// What -fsanitize=thread calls. The return address is behind the access in the source.
#define SITE __builtin_return_address(0)
#define ACCESS(name, bytes, write) \
  void name(void* address) { ::emulator::check_access(address, bytes, write, false, SITE); }
#define ACCESSES(bytes)                              \
  ACCESS(__tsan_read##bytes, bytes, false)           \
  ACCESS(__tsan_write##bytes, bytes, true)           \
  ACCESS(__tsan_unaligned_read##bytes, bytes, false) \
  ACCESS(__tsan_unaligned_write##bytes, bytes, true)

namespace {
// Structs and arrays are copied as a range: word by word, as the device would at least.
void check_range(const void* address, std::size_t bytes, bool write, const void* site) {
  const char* p = static_cast<const char*>(address);
  const std::size_t step = reinterpret_cast<std::uintptr_t>(p) % 4 == 0 ? 4 : 1;
  for (std::size_t i = 0; i < bytes; i += step) {
    const std::size_t word = bytes - i >= step ? step : 1;
    for (std::size_t j = i; j < std::min(bytes, i + step); j += word) {
      emulator::check_access(p + j, word, write, false, site);
    }
  }
}
}  // namespace

extern "C" {
void __tsan_init() { emulator::g_checking = true; }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
void __tsan_read_range(void* address, std::size_t bytes) {
  check_range(address, bytes, false, SITE);
}
void __tsan_write_range(void* address, std::size_t bytes) {
  check_range(address, bytes, true, SITE);
}
}

// What -fsanitize=alignment,bounds,shift calls: the compiler splits a copy of a float4 into four
// accesses before it instruments them, so that alignment is seen here alone.
extern "C" {
struct SanitizedLocation {
  const char* file;
  std::uint32_t line, column;
};
void __ubsan_handle_type_mismatch_v1(const SanitizedLocation* where, void* address) {
  if (emulator::Block::running() == nullptr) return;
  emulator::report(emulator::FaultKind::misaligned,
                   emulator::text_of("access at %p is null or not aligned, at %s:%u:%u", address,
                                     where->file, where->line, where->column));
}
void __ubsan_handle_out_of_bounds(const SanitizedLocation* where, void* index) {
  if (emulator::Block::running() == nullptr) return;
  emulator::report(emulator::FaultKind::out_of_bounds,
                   emulator::text_of("index %td is outside of its array, at %s:%u:%u",
                                     reinterpret_cast<std::ptrdiff_t>(index), where->file,
                                     where->line, where->column));
}
void __ubsan_handle_shift_out_of_bounds(const SanitizedLocation* where, void*, void*) {
  if (emulator::Block::running() == nullptr) return;
  emulator::report(emulator::FaultKind::usage,
                   emulator::text_of("a shift by more bits than there are, at %s:%u:%u",
                                     where->file, where->line, where->column));
}
}
