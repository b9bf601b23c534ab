#include "train/commands/commands.h"

int main(int argc, char** argv) { return tarn::train::run_program(argc, argv); }
