// PostgreSQL's own programs on this machine: which majors are installed, and which one to use.
//
// Looked for in the folder given by configuration (`pg_bindir`) and nowhere else, or, if none is
// given, in /usr/lib/postgresql/*/bin (Debian), /usr/pgsql-*/bin (Red Hat), a few more such places,
// and on PATH (links followed, so that Debian's wrapper scripts in /usr/bin are not taken for the
// programs). A candidate is asked for its version by running it; one that cannot run is passed
// over.
#pragma once

#include <string>
#include <vector>

#include "pg/conninfo.h"

namespace holdfast {

struct ClientTools {
  int major = 0;
  std::string version;  // "15.18 (Debian 15.18-0+deb12u1)"
  std::string folder;
  std::string path(const std::string& program) const { return folder + "/" + program; }
  // Executable there ("postgres", "initdb", "pg_amcheck").
  bool has(const std::string& program) const;
};

// All installations that have pg_dump and pg_restore, oldest major first; of two with the same
// major the one found first. `only_folder` (may be empty) is the configured one.
std::vector<ClientTools> find_client_tools(const std::string& only_folder);

// The one for a server of this major: the same major if installed (so that the source's own
// pg_restore reads the archive), else the lowest newer one. Throws Error(unsupported) with the
// package to install as the hint when every client is older than the server.
ClientTools choose_client_tools(const std::vector<ClientTools>& found, int server_major);

// "pg_dump (PostgreSQL) 15.18 (Debian …)\n" → "15.18 (Debian …)"; "" if it is something else.
std::string client_version_in(const std::string& output);

}  // namespace holdfast
