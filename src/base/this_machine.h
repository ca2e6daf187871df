// Which machine this is, and who runs this program on it: what locks, holds, alerts and the audit
// trail name.
#pragma once

#include <string>

namespace holdfast {

std::string host_name();  // as the kernel knows it; "unknown" if it has none

// What tells this machine from others of the same name (machine-id(5)); empty where there is no
// such file, as in many containers. Throws Error(io) if there is one that cannot be read.
std::string machine_id();

std::string user_name();  // "postgres"; "uid 1000" where that has no name, as in many containers

}  // namespace holdfast
