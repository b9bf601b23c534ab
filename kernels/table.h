// One slot a kernel, from the one list in kernels.def. A null slot is a kernel that a device lacks;
// run() says so by name.
#pragma once

#include <type_traits>

#include "core/check.h"
#include "core/device.h"

namespace tarn::kernels {

#define TARN_KERNEL(name, Args) struct Args;
#include "kernels/kernels.def"
#undef TARN_KERNEL

template <class Args>
struct Slot {
  const char* name;
  void (*fn)(const Args&) = nullptr;
};

struct Table {
#define TARN_KERNEL(name, Args) Slot<Args> name{#name};
#include "kernels/kernels.def"
#undef TARN_KERNEL
};

// The kernels of a kind of device. Throws DeviceError for a device this build knows nothing of.
const Table& table(DeviceKind kind);

// Runs one kernel: run(&Table::gemm, device, {.a = x, ...}). The arguments are written in braces
// with their names; the slot alone decides their type.
template <class Args>
void run(Slot<Args> Table::*slot, Device device, const std::type_identity_t<Args>& args) {
  const Slot<Args>& s = table(device.kind).*slot;
  TARN_CHECK_AS(DeviceError, s.fn != nullptr, s.name, ": no ", name_of(device.kind),
                " kernel in this build");
  s.fn(args);
}

}  // namespace tarn::kernels
