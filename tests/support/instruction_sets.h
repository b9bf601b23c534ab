// Runs a test with each instruction set that the kernels are compiled for and this processor has.
#pragma once

#include <hwy/targets.h>

#include <cstdint>
#include <vector>

namespace tarn::test {

struct InstructionSet {
  std::int64_t target;
  const char* name;  // as kernels::cpu_backend() says it
};

// Widest first; the portable one is always there.
inline std::vector<InstructionSet> instruction_sets() {
  std::vector<InstructionSet> sets;
  for (const InstructionSet& set : {InstructionSet{HWY_AVX3, "AVX-512"}, {HWY_AVX2, "AVX2"}}) {
    if ((hwy::SupportedTargets() & set.target) != 0) sets.push_back(set);
  }
  sets.push_back({HWY_EMU128, "portable"});
  return sets;
}

// The kernels use this instruction set while one of these lives.
class UseInstructionSet {
 public:
  explicit UseInstructionSet(const InstructionSet& set) { choose(set.target); }
  ~UseInstructionSet() { choose(0); }  // the best again
  UseInstructionSet(const UseInstructionSet&) = delete;
  UseInstructionSet& operator=(const UseInstructionSet&) = delete;

 private:
  static void choose(std::int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().DeInit();
  }
};

template <class F>
void for_each_instruction_set(const F& f) {
  for (const InstructionSet& set : instruction_sets()) {
    const UseInstructionSet use(set);
    f(set.name);
  }
}

}  // namespace tarn::test
