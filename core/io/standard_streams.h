// The program's standard input, output and error: there even when it was started without them, and
// output that cannot be written is an error.
#pragma once

#include "core/check.h"

namespace tarn {

// The reader of standard output has gone away (`tarn ... | head`): a reason to stop, and no fault.
class ReaderGone : public Error {
 public:
  using Error::Error;
};

// To be called first thing in main. Descriptors 0, 1 and 2 that are closed are taken, so that no
// file gets them and log lines cannot end up in it; what is then written to standard output fails.
// A reader that goes away is an error of the write from now on, and no signal.
void open_standard_streams();

// Hands all that was printed so far to the system. Error that says why if some of it cannot be
// written, now or before; ReaderGone if nobody reads it any more.
void flush_standard_output();

}  // namespace tarn
