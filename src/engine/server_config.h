// The files that a compute's server is configured with, written whole from a plan
// (server_settings.h): postgresql.conf and pg_hba.conf, and the part of the quarantine that
// protects others a second time for the command line, where it beats ALTER SYSTEM as well.
//
// Pure functions.
#pragma once

#include <string>
#include <vector>

#include "engine/server_settings.h"

namespace holdfast {

// The whole file. Throws Error(invalid) for a name or a value of the user's that is none.
std::string postgresql_conf(const ServerPlan& plan);

// "-c", "archive_mode=off", …
std::vector<std::string> quarantine_arguments(const ServerPlan& plan);

// pg_hba.conf. Not `open`: only the engine, through its socket. Open: clients too, by TLS and SCRAM
// only; where the server listens on the loopback interface, from there only.
std::string pg_hba_conf(const std::string& listen_address, bool open);

}  // namespace holdfast
