// How much memory this program and its children may use together.
#pragma once

#include <cstdint>
#include <string>

namespace holdfast {

// Bytes of the machine's memory, or of the least limit of the control groups that this process is
// in (a container's, a systemd unit's MemoryMax; cgroup v2, see cgroups(7)).
int64_t machine_memory_bytes();

// The same with the files of /proc and /sys/fs/cgroup under `root`, and `physical` bytes: for
// tests.
int64_t limited_memory_bytes(const std::string& root, int64_t physical);

}  // namespace holdfast
