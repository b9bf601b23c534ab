// Whether charts can be drawn here; says so if not.
#pragma once

#include <doctest/doctest.h>

#include "tests/support/program.h"

namespace tarn::test {

inline bool has_gnuplot() {
  if (run_script("command -v gnuplot").code == 0) return true;
  MESSAGE("skipped: no gnuplot");
  return false;
}

}  // namespace tarn::test
