// One slot a kernel, from the one list in kernels.def, and one table of slots a kind of device. A
// slot whose function is null is a kernel that the kind lacks; run() says so by name.
#pragma once

#include <type_traits>

#include "core/check.h"
#include "core/tensor.h"

namespace tarn::kernels {

#define TARN_KERNEL(name, Args) struct Args;
#include "kernels/kernels.def"

// The memory that a kernel works in while it runs, on its device and not initialised.
struct Scratch {
  std::byte* bytes = nullptr;

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(bytes);
  }
};

template <class Args>
struct Slot {
  const char* name;
  void (*fn)(const Args& args, Scratch scratch) = nullptr;
  std::int64_t (*scratch_bytes)(const Args& args) = nullptr;  // null: the kernel needs none
};

struct Table {
  // Makes a device the one that kernels run on, for the calling thread; null where there is but
  // one.
  void (*set_device)(std::int32_t index) = nullptr;
#define TARN_KERNEL(name, Args) Slot<Args> name{#name};
#include "kernels/kernels.def"
};

// The kernels of a kind of device. Throws DeviceError for a kind that this build has none for.
const Table& table(DeviceKind kind);

// Each kind's own table, in kernels/cpu and kernels/cuda; the latter is not in every build.
const Table& cpu_table();
const Table& cuda_table();

// Runs a kernel of the table that is given.
template <class Args>
void run(const Table& kernels, Slot<Args> Table::*slot, Device device,
         const std::type_identity_t<Args>& args) {
  const Slot<Args>& s = kernels.*slot;
  TARN_CHECK_AS(DeviceError, s.fn != nullptr, s.name, ": no ", name_of(device.kind),
                " kernel in this build");
  if (kernels.set_device != nullptr) kernels.set_device(device.index);
  if (s.scratch_bytes == nullptr) return s.fn(args, {});
  const Storage scratch(s.scratch_bytes(args), device);
  s.fn(args, {scratch.bytes()});
}

// Runs one kernel: run(&Table::gemm, device, {.a = x, ...}). The arguments are written in braces
// with their names; the slot alone decides their type, and how much scratch there is.
template <class Args>
void run(Slot<Args> Table::*slot, Device device, const std::type_identity_t<Args>& args) {
  run(table(device.kind), slot, device, args);
}

}  // namespace tarn::kernels
