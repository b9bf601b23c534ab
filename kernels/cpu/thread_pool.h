// The threads of the CPU kernels. They are tarn's own and not OpenMP's, because OpenMP's wait in a
// way that is fixed before main() starts, and because a parallel region of OpenMP ends only when
// each of its threads has come to its end: on a busy machine it waits for threads that have nothing
// to do.
#pragma once

#include <cstdint>

namespace tarn::kernels::cpu {

// How many threads work together, the caller among them: what set_cpu_threads() was given, else
// what thread_settings() gives. Use it only to cut work in ways that do not change the bits of a
// result.
std::int64_t pool_size();

// Must not throw. `member` tells the threads apart; 0 is the caller.
using MemberFunction = void (*)(const void* context, std::int64_t member);

// Calls function(context, 0) here, and function(context, m) for m in [1, members) on threads of the
// pool. Each member is called once, or not at all if its thread comes only after the caller is
// done: the caller alone must be able to do all the work. Returns when all calls that began have
// ended. If another thread is using the pool, in a call from within a call, and for a thread that
// is to use no other, only the caller works.
void run_on_pool(std::int64_t members, MemberFunction function, const void* context);

}  // namespace tarn::kernels::cpu
