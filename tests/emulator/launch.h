// Launching a kernel: launch(kernel, grid, block, dynamic shared bytes, stream, name,
// arguments...).
#pragma once

#include <tuple>
#include <type_traits>
#include <utility>

#include "tests/emulator/block.h"
#include "tests/emulator/stream.h"

namespace emulator {

// Checks the sizes as a device of compute capability 9.0 would, and queues the launch with a copy
// of its arguments, which are `bytes` at `arguments`.
cudaError_t enqueue(Launch launch, const void* arguments, std::size_t bytes, const void* kernel,
                    cudaStream_t stream);

// The arguments are converted to the kernel's parameters and copied now, as the runtime does.
template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t dynamic_shared,
                   cudaStream_t stream, const char* name, Arguments&&... arguments) {
  static_assert((std::is_trivially_destructible_v<Parameters> && ...));
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> parameters;
  };
  const Call call{kernel, {static_cast<Parameters>(std::forward<Arguments>(arguments))...}};
  const auto invoke = [](const void* memory) {
    const auto* packed = static_cast<const Call*>(memory);
    std::apply(packed->kernel, packed->parameters);
  };
  const auto parameters = [](const void* memory) {
    const auto bytes_of = [](const auto&... each) {
      return std::vector<std::span<const unsigned char>>{
          {reinterpret_cast<const unsigned char*>(&each), sizeof each}...};
    };
    return std::apply(bytes_of, static_cast<const Call*>(memory)->parameters);
  };
  return enqueue({name, grid, block, dynamic_shared, invoke, parameters}, &call, sizeof call,
                 reinterpret_cast<const void*>(kernel), stream);
}

}  // namespace emulator

// EMULATOR_LAUNCH(kernel, grid, block, shared, stream, arguments...); a kernel that is a template
// stands in brackets.
#define EMULATOR_LAUNCH(kernel, grid, block, shared, stream, ...) \
  ::emulator::launch(kernel, grid, block, shared, stream, #kernel __VA_OPT__(, ) __VA_ARGS__)
