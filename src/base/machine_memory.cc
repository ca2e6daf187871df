#include "base/machine_memory.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr uint64_t kControlFileBytesMax = 64 << 10;

// "" where there is no such file: no limit is set, or the machine has no control groups.
std::string control_file(const std::string& path) {
  try {
    return read_file(path, kControlFileBytesMax);
  } catch (const Error&) {
    return {};
  }
}

// The path of the process's group in the unified hierarchy: the line "0::/system.slice/…".
std::string group_of(const std::string& root) {
  for (const std::string& line : split(control_file(root + "/proc/self/cgroup"), '\n'))
    if (line.starts_with("0::/")) return line.substr(3);
  return "/";
}

}  // namespace

int64_t limited_memory_bytes(const std::string& root, int64_t physical) {
  int64_t least = physical;
  std::string group = group_of(root);
  for (;;) {
    // "max" is no number: no limit.
    std::string text = control_file(root + "/sys/fs/cgroup" + group + "/memory.max");
    int64_t limit = 0;
    auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error == std::errc() && limit > 0) least = std::min(least, limit);
    if (group.empty() || group == "/") return least;
    group.resize(group.rfind('/'));
  }
}

int64_t machine_memory_bytes() {
  return limited_memory_bytes("", int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE));
}

}  // namespace holdfast
