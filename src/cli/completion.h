// What a shell completes holdfast's commands and options with, written from the option table:
// `holdfast completion bash`, `zsh`, `fish`. Debian's package installs all three.
//
// A script knows the commands, the options of each, the words that an option or a first argument
// may be, and where a file or a folder is wanted. It never runs holdfast: a key press must not read
// a bucket. Options come before or after the command, their value in the next word or behind a `=`.
// Pure; the same table gives the same bytes.
#pragma once

#include <string>

namespace holdfast {

// Throws Error(invalid) for a shell that there is no script for.
std::string completion_script(const std::string& shell);

}  // namespace holdfast
