// SIGINT and SIGTERM as a wish to stop: the first is noted, a second one ends the process at once.
#pragma once

namespace tarn::train {

// From now on the two signals are noted; SIGPIPE becomes an error of the write.
void watch_signals();

// The signal that arrived, or 0.
int signal_received();

}  // namespace tarn::train
