// The threads of the CPU kernels. They are tarn's own and not OpenMP's, because OpenMP's wait in a
// way that is settled before main() starts, and because a parallel region of OpenMP ends only when
// each of its threads has been there: on a busy machine it waits for threads that have nothing to
// do.
#pragma once

#include <cstdint>

namespace tarn::kernels {

// The threads that work together, the caller among them: what set_cpu_threads() said, else what
// thread_settings() says. For cuts that change no bit, and for nothing else.
std::int64_t pool_size();

// Must not throw. `member` tells the threads apart; 0 is the caller.
using MemberFunction = void (*)(const void* context, std::int64_t member);

// Calls function(context, 0) here, and function(context, m) for m in [1, members) on threads of the
// pool, each once or, if the thread comes only when the caller is through, not at all: the caller
// alone must be able to do everything. Returns when all who came are through. While another thread
// uses the pool, and within itself, only the caller works.
void run_on_pool(std::int64_t members, MemberFunction function, const void* context);

}  // namespace tarn::kernels
