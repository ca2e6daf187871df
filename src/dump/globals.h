// Roles and tablespaces, which belong to the cluster and which no dump of a database holds: SQL by
// pg_dumpall --globals-only, without passwords.
#pragma once

#include <optional>
#include <string>

#include "base/run.h"
#include "pg/client_tools.h"
#include "pg/conninfo.h"

namespace holdfast {

// Empty, with a note in the log, if the login may not read them.
std::optional<std::string> dump_globals(const ClientTools& tools, const Conninfo& source,
                                        const Run& run);

}  // namespace holdfast
