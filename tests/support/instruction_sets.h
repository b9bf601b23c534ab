// Runs a test with each instruction set that the kernels are compiled for and this processor has.
#pragma once

#include <string>

#include "kernels/backend.h"

namespace tarn::test {

// The kernels use this instruction set while one of these lives.
class UseInstructionSet {
 public:
  explicit UseInstructionSet(const std::string& name) { kernels::set_cpu_instruction_set(name); }
  ~UseInstructionSet() { kernels::set_cpu_instruction_set(""); }
  UseInstructionSet(const UseInstructionSet&) = delete;
  UseInstructionSet& operator=(const UseInstructionSet&) = delete;
};

template <class F>
void for_each_instruction_set(const F& f) {
  for (const std::string& name : kernels::cpu_instruction_sets()) {
    const UseInstructionSet use(name);
    f(name.c_str());
  }
}

}  // namespace tarn::test
