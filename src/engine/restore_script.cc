#include "engine/restore_script.h"

#include <fmt/format.h>

namespace holdfast {
namespace {

// A folder that cannot be looked into proves nothing, and `test -e` is false for any reason: ls
// says which one it was.
constexpr char kHead[] = R"(#!/bin/sh
# Made by holdfast: fetches write-ahead log for the recovery of the data folder that it lies in.
# Exit code 1: the file is not there. 255: something is wrong, and recovery must not end here.
set -u
LC_ALL=C
export LC_ALL
name=$1
target=$2

trouble() {
  echo "holdfast: $1" >&2
  exit 255
}

# take FILE: copies it and ends; returns if it is not there.
take() {
  if said=$(ls -d -- "$1" 2>&1); then
    if cp -- "$1" "$target"; then
      exit 0
    fi
    rm -f -- "$target"
    # It may have got its final name meanwhile.
    if said=$(ls -d -- "$1" 2>&1); then
      trouble "cannot copy $1"
    fi
  fi
  case $said in
    *"No such file or directory"*) ;;
    *) trouble "$said" ;;
  esac
}

# look_in FOLDER: one whose whole absence would be taken for that of a file.
look_in() {
  ls -d -- "$1/." >/dev/null 2>&1 || trouble "cannot look into $1"
}

# segment FOLDER...: complete ones first.
segment() {
  for folder in "$@"; do look_in "$folder"; done
  for pass in 1 2; do
    for folder in "$@"; do take "$folder/$name"; done
    for folder in "$@"; do take "$folder/$name.partial"; done
    if [ "$pass" = 1 ]; then sleep 0.2; fi
  done
  exit 1
}

case $name in
)";

constexpr char kTail[] = R"(  *) exit 1 ;;
esac
)";

std::string words(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& each : texts) joined += " " + shell_word(each);
  return joined;
}

}  // namespace

std::string shell_word(std::string_view text) {
  std::string word = "'";
  for (char c : text) {
    if (c == '\'')
      word += "'\\''";
    else
      word += c;
  }
  return word + "'";
}

std::string restore_script(const RestoreScript& script) {
  std::string text = kHead;
  for (const std::string& path : script.histories)
    text += fmt::format("  {})\n    take {}\n    exit 1\n    ;;\n",
                        path.substr(path.rfind('/') + 1), shell_word(path));
  text += "  *.history) exit 1 ;;\n";
  for (const RestoreScript::Segments& each : script.segments)
    text += fmt::format("  {:08X}{})\n    segment{}\n    ;;\n", each.timeline, std::string(16, '?'),
                        words(each.folders));
  return text + kTail;
}

// PostgreSQL replaces %f, %p and %%; there is nothing else to escape but by the shell.
std::string restore_command(const std::string& path) {
  std::string escaped;
  for (char c : path) escaped += c == '%' ? "%%" : std::string(1, c);
  return fmt::format("/bin/sh {} \"%f\" \"%p\"", shell_word(escaped));
}

}  // namespace holdfast
