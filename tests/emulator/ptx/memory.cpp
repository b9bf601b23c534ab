// Loads and stores: what they may touch, and how they move it.
#include <algorithm>
#include <bit>
#include <cstring>

#include "tests/emulator/allocations.h"
#include "tests/emulator/ptx/lanes.h"
#include "tests/emulator/ptx/thread_block.h"

namespace emulator::ptx {
namespace {

const char* name_of(bool write) { return write ? "write" : "read"; }

std::uint64_t address_of(Warp& warp, const Instruction& at, unsigned lane) {
  if (at.address.bytes == 4) {  // which wraps at 32 bits
    return warp.row<std::uint32_t>(at.address)[lane] + static_cast<std::uint32_t>(at.displacement);
  }
  return warp.row<std::uint64_t>(at.address)[lane] + static_cast<std::uint64_t>(at.displacement);
}

// A value into a register that may be wider than it.
template <class Register, class Value>
void widen(Warp& warp, Operand to, Mask mask, const std::array<std::byte*, kLanes>& places,
           std::size_t offset) {
  Register* row = warp.row<Register>(to);
  for_lanes(mask, [&](unsigned lane) {
    Value value;
    std::memcpy(&value, places[lane] + offset, sizeof value);
    row[lane] = static_cast<Register>(value);
  });
}

template <class Register>
void widen_into(Warp& warp, Operand to, Mask mask, const std::array<std::byte*, kLanes>& places,
                std::size_t offset, const Access& access) {
  switch (access.bytes) {
    case 1:
      return access.is_signed ? widen<Register, std::int8_t>(warp, to, mask, places, offset)
                              : widen<Register, std::uint8_t>(warp, to, mask, places, offset);
    case 2:
      return access.is_signed ? widen<Register, std::int16_t>(warp, to, mask, places, offset)
                              : widen<Register, std::uint16_t>(warp, to, mask, places, offset);
    case 4:
      return access.is_signed ? widen<Register, std::int32_t>(warp, to, mask, places, offset)
                              : widen<Register, std::uint32_t>(warp, to, mask, places, offset);
    default:
      return widen<Register, std::uint64_t>(warp, to, mask, places, offset);
  }
}

void load(Warp& warp, const Instruction& at, Mask mask) {
  std::array<std::byte*, kLanes> places;
  warp.block().resolve(warp, at, mask, false, places);
  for (std::size_t i = 0; i < at.access.count; ++i) {
    const Operand to = at.operands[i];
    const std::size_t offset = i * at.access.bytes;
    if (to.bytes == 2) widen_into<std::uint16_t>(warp, to, mask, places, offset, at.access);
    if (to.bytes == 4) widen_into<std::uint32_t>(warp, to, mask, places, offset, at.access);
    if (to.bytes == 8) widen_into<std::uint64_t>(warp, to, mask, places, offset, at.access);
  }
}

// The lower bytes of a register that may be wider than the value.
void store(Warp& warp, const Instruction& at, Mask mask) {
  std::array<std::byte*, kLanes> places;
  warp.block().resolve(warp, at, mask, true, places);
  for (std::size_t i = 0; i < at.access.count; ++i) {
    const Operand from = at.operands[i];
    const std::byte* row = warp.bytes(from);
    for (Mask left = mask; left != 0; left &= left - 1) {
      const auto lane = static_cast<std::size_t>(std::countr_zero(left));
      std::memcpy(places[lane] + i * at.access.bytes, row + lane * from.bytes, at.access.bytes);
    }
  }
}

void add_space(Table& table, const std::string& name, Space space) {
  struct Type {
    const char* name;
    std::uint8_t bytes;
    bool is_signed;
  };
  const Type types[] = {{"b8", 1, false},  {"u8", 1, false},  {"s8", 1, true},   {"b16", 2, false},
                        {"u16", 2, false}, {"s16", 2, true},  {"b32", 4, false}, {"u32", 4, false},
                        {"s32", 4, true},  {"f32", 4, false}, {"b64", 8, false}, {"u64", 8, false},
                        {"s64", 8, true},  {"f64", 8, false}};
  for (const Type& type : types) {
    for (const std::uint8_t count : {1, 2, 4}) {
      if (count * type.bytes > 16) continue;
      const std::string of = name + (count == 1 ? "." : count == 2 ? ".v2." : ".v4.") + type.name;
      const Access access{space, type.bytes, count, type.is_signed};
      table["ld." + of] = {.execute = load, .form = Form::load, .access = access};
      if (space == Space::parameters) continue;
      table["st." + of] = {.execute = store, .form = Form::store, .access = access};
    }
  }
}

}  // namespace

void add_memory(Table& table) {
  add_space(table, "global", Space::global);
  add_space(table, "shared", Space::shared);
  add_space(table, "local", Space::local);
  add_space(table, "param", Space::parameters);
}

void ThreadBlock::resolve(Warp& warp, const Instruction& at, Mask mask, bool write,
                          std::array<std::byte*, kLanes>& places) {
  Addresses addresses;
  for_lanes(mask, [&](unsigned lane) { addresses[lane] = address_of(warp, at, lane); });
  const std::uint32_t bytes = at.access.all_bytes();
  if (at.access.space == Space::global) {
    (write ? counts_.sectors_written : counts_.sectors_read) += sectors_of(addresses, mask, bytes);
  } else if (at.access.space == Space::shared) {
    counts_.wavefronts += wavefronts_of(addresses, mask, bytes, counts_.least_wavefronts);
  }
  for (Mask left = mask; left != 0; left &= left - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(left));
    const std::uint64_t address = addresses[lane];
    check_alignment(warp, lane, at, address);
    switch (at.access.space) {
      case Space::global:
        places[lane] = global(warp, lane, at, address, write);
        break;
      case Space::shared:
        places[lane] = shared(warp, lane, at, address, write);
        break;
      case Space::local:
        places[lane] = local(warp, lane, at, address);
        break;
      case Space::parameters:
        places[lane] = parameter(warp, lane, at, address);
        break;
    }
  }
}

void ThreadBlock::check_alignment(const Warp& warp, unsigned lane, const Instruction& at,
                                  std::uint64_t address) {
  const std::uint32_t bytes = at.access.all_bytes();
  if (address % bytes == 0) return;
  stop(warp, lane, at, FaultKind::misaligned,
       text_of("access of %u bytes at 0x%llx is not aligned", bytes,
               static_cast<unsigned long long>(address)));
}

std::byte* ThreadBlock::parameter(const Warp& warp, unsigned lane, const Instruction& at,
                                  std::uint64_t address) {
  if (address + at.access.all_bytes() > grid_.parameters.size()) {
    stop(warp, lane, at, FaultKind::out_of_bounds, "read past the parameters");
  }
  return const_cast<std::byte*>(grid_.parameters.data()) + address;  // which no instruction writes
}

std::byte* ThreadBlock::local(Warp& warp, unsigned lane, const Instruction& at,
                              std::uint64_t address) {
  if (address + at.access.all_bytes() > kernel().local_bytes) {
    stop(warp, lane, at, FaultKind::out_of_bounds, "access outside of local memory");
  }
  return warp.local(lane) + address;
}

std::byte* ThreadBlock::shared(const Warp& warp, unsigned lane, const Instruction& at,
                               std::uint64_t address, bool write) {
  const std::uint32_t bytes = at.access.all_bytes();
  // Between two arrays is more room than an access is long.
  if (address + bytes > in_array_.size() || in_array_[address] == 0 ||
      in_array_[address + bytes - 1] == 0) {
    stop(warp, lane, at, FaultKind::out_of_bounds,
         text_of("%s of %u bytes at 0x%llx, outside of every shared array", name_of(write), bytes,
                 static_cast<unsigned long long>(address)));
  }
  check_cells(warp, lane, at, cells_.data(), address, write);
  return &shared_[address];
}

std::byte* ThreadBlock::global(const Warp& warp, unsigned lane, const Instruction& at,
                               std::uint64_t address, bool write) {
  const std::uint32_t bytes = at.access.all_bytes();
  auto* place = reinterpret_cast<char*>(address);
  Allocation* allocation = find_allocation(place);
  if (allocation == nullptr || !allocation->holds(place, bytes)) {
    stop(warp, lane, at, FaultKind::out_of_bounds,
         text_of("%s of %u bytes at 0x%llx, which do not lie in an allocation", name_of(write),
                 bytes, static_cast<unsigned long long>(address)));
  }
  if (allocation->device != kPinnedHost && allocation->device != grid_.device) {
    stop(warp, lane, at, FaultKind::out_of_bounds,
         text_of("%s of memory of device %d by a kernel on device %d", name_of(write),
                 allocation->device, grid_.device));
  }
  if (!allocation->cells.empty()) {
    check_cells(warp, lane, at, allocation->cells.data(),
                static_cast<std::size_t>(place - allocation->begin), write);
  }
  return reinterpret_cast<std::byte*>(place);
}

void ThreadBlock::check_cells(const Warp& warp, unsigned lane, const Instruction& at, Cell* cells,
                              std::size_t offset, bool write) {
  Present present;
  present.launch = grid_.number;
  present.block_threads = threads_;
  present.is_write = write;
  present.access.thread = 1 + index_ * threads_ + warp.number() * kLanes + lane;
  present.access.block_epoch = epoch_;
  present.access.warp_epoch = warp.epoch();
  present.access.site = static_cast<std::int32_t>(&at - kernel().code.data());
  const std::size_t end = offset + at.access.all_bytes();
  while (offset < end) {
    const std::size_t in_cell = std::min(kCellBytes - offset % kCellBytes, end - offset);
    present.access.bytes = static_cast<std::uint8_t>(((1U << in_cell) - 1) << offset % kCellBytes);
    Cell earlier;
    const Findings found = check(cells[offset / kCellBytes], present, earlier);
    if (found.race != nullptr) {
      const unsigned other = found.race->thread - 1;
      const Instruction& there = kernel().code[static_cast<std::size_t>(found.race->site)];
      return fault(warp, lane, at, FaultKind::race,
                   text_of("race: this %s and the %s by thread %u of block %u at %s, without a "
                           "barrier between,",
                           name_of(write), name_of(found.race_with_write), other % threads_,
                           other / threads_, kernel().place_of(there).c_str()));
    }
    if (found.uninitialized) {
      return fault(warp, lane, at, FaultKind::uninitialized,
                   "read of memory that was never written");
    }
    offset += in_cell;
  }
}

}  // namespace emulator::ptx
