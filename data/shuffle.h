// Permutations by address: the place of each element is computed, not drawn from a generator and
// not stored, so that an order can be entered anywhere and a resumed run goes on with the same one.
#pragma once

#include <cstdint>

#include "core/rng.h"

namespace tarn::data {

// Element `index` of a permutation of 0 .. count - 1, which the address picks. count is 1 or more
// and below 2^31.
std::int64_t shuffled(std::int64_t index, std::int64_t count, const RngAddress& at);

}  // namespace tarn::data
