#include "core/io/standard_streams.h"
#include "train/program/commands.h"

int main(int argc, char** argv) {
  tarn::open_standard_streams();
  return tarn::train::run_program(argc, argv);
}
