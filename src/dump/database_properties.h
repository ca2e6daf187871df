// What belongs to a dumped database rather than to its contents (owner, privileges, settings of all
// roles and of single ones, connection limit, comment), from the archive, for a database of any
// name: what `pg_restore --create` would bring.
#pragma once

#include <string>
#include <vector>

#include "pg/archive.h"
#include "pg/connection.h"

namespace holdfast {

// The owner as dumped; "" if the archive does not say.
std::string database_owner(const ArchiveToc& toc);

// The statements of the archive, `quoted_name` (as SQL wants it) put in place of the dumped
// database's name. Pure.
std::vector<std::string> database_property_statements(const ArchiveToc& toc,
                                                      const std::string& quoted_name);

// These run them. What the server refuses is returned as a note; a lost connection throws.
// The owner comes first: privileges are granted by the right role then, and what is in schema
// public can be given to the owner.
std::vector<std::string> apply_database_owner(Connection& admin, const ArchiveToc& toc,
                                              const std::string& database);
std::vector<std::string> apply_database_properties(Connection& admin, const ArchiveToc& toc,
                                                   const std::string& database, bool privileges);

}  // namespace holdfast
