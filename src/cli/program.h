// The program: reads arguments, environment and configuration, runs one command, and turns what
// happened into output and an exit code.
#pragma once

namespace holdfast {

// Returns the exit code (DESIGN section 9).
int run_program(int argc, char** argv);

}  // namespace holdfast
