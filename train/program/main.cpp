#include <csignal>

#include "core/io/standard_streams.h"
#include "train/program/commands.h"

int main(int argc, char** argv) {
  tarn::open_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows past a limit is an error of the write
  return tarn::train::run_program(argc, argv);
}
