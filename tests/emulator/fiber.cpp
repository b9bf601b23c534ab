#include "tests/emulator/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if !defined(__x86_64__)
#error "the emulated device's fibers are written for x86-64"
#endif

asm(R"(
.text
.globl emulator_switch_fiber
.type emulator_switch_fiber, @function
emulator_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulator_switch_fiber, .-emulator_switch_fiber
)");

namespace emulator {

void* prepare_fiber(char* stack, std::size_t index, void (*entry)()) {
  constexpr std::size_t kStagger = 704, kPage = 4096;
  auto top =
      reinterpret_cast<std::uintptr_t>(stack + kStackBytes - (index * kStagger) % kPage - 64);
  top &= ~std::uintptr_t{15};
  auto** frame = reinterpret_cast<void**>(top);
  *--frame = nullptr;  // where a caller would have stood: the stack is aligned as after a call
  *--frame = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; ++saved) *--frame = nullptr;
  return frame;
}

char* fiber_stacks(std::size_t count) {
  static char* stacks = nullptr;
  static std::size_t held = 0;
  if (count > held) {
    if (stacks != nullptr) munmap(stacks, held * kStackBytes);
    void* memory = mmap(nullptr, count * kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    stacks = static_cast<char*>(memory);
    held = count;
  }
  return stacks;
}

}  // namespace emulator
