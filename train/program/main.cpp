#include <string_view>

#include "bench/bench.h"
#include "train/program/commands.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "bench") {
    return tarn::bench::run_program(argc - 1, argv + 1);
  }
  return tarn::train::run_program(argc, argv);
}
