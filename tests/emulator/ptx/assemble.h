// From statements to instructions: names become places in a warp's registers.
#pragma once

#include <string>
#include <vector>

#include "tests/emulator/ptx/parser.h"
#include "tests/emulator/ptx/program.h"

namespace emulator::ptx {

// The kernel of an entry. Throws Error for an instruction that is not known, with its text and
// line.
Kernel assemble(const File& file, const Entry& entry, const std::string& file_name);

}  // namespace emulator::ptx
