#include "cli/program.h"

int main(int argc, char** argv) {
  return holdfast::run_program(argc, argv);
}
