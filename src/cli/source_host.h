// Where the source is: of this machine, or reached over a network.
#pragma once

#include <optional>
#include <string>

#include "cli/config.h"

namespace holdfast {

// The addresses or hosts that libpq would try, separated by commas; "" is the local socket. Nothing
// without a database. Throws Error(invalid) for a URL that is none.
std::optional<std::string> source_hosts(const Config& config);

// One of them: a socket or a loopback address.
bool is_this_machine(const std::string& host);

}  // namespace holdfast
