// Making, dropping and swapping whole databases, over a connection to another database of the same
// server.
//
// A restore always fills a database under a working name (`care_holdfast_3f2a91c0`) and gives it
// its name at the very end, so that whatever happens before, nothing half-made is ever found under
// a name that somebody uses. All changes of names happen in one transaction.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/run.h"
#include "dump/database_spec.h"
#include "pg/connection.h"

namespace holdfast {

// Connects to the server, to its dbname if that is there and is not `avoid`, else to "postgres" or
// "template1".
Connection open_admin(const Conninfo& server, const std::string& avoid);

bool database_exists(Connection& admin, const std::string& name);

// Whether a database holds nothing of a user: no relations, functions, types, large objects, and no
// subscription, which would keep it from being dropped.
bool database_empty(Connection& in_it);

// Makes `name` from template0. Where the server does not know the locale or its provider, C.UTF-8
// or C of the C library is taken instead; where it has no such tablespace, or the login may not use
// it, its default. Returns notes about that.
std::vector<std::string> create_database(Connection& admin, const std::string& name,
                                         const DatabaseSpec& spec);

// Drops the subscriptions of a database that a restore made, so that it can be dropped. They are
// parted from their slots first: the publisher's slots are those of the original, and stay.
void forget_subscriptions(Connection& in_it);

// Ends its sessions and drops it. Throws Error when it cannot; a missing one is no error.
void drop_database(Connection& admin, const std::string& name);

// `base` + `suffix`, at most PostgreSQL's 63 bytes, never cutting a character.
std::string derived_name(const std::string& base, const std::string& suffix);

// `from` becomes `to`, which must be free.
void rename_database(Connection& admin, const std::string& from, const std::string& to);

// Gives `to` what belongs to the database `from` itself rather than to its contents: owner,
// privileges, settings (of all roles and of single ones), connection limit, comment. What the login
// may not set is returned as a note.
std::vector<std::string> copy_database_properties(Connection& admin, const std::string& from,
                                                  const std::string& to);

// In one transaction: `live` becomes `kept`, `fresh` becomes `live`. New sessions wait at the door
// while it runs (PostgreSQL holds its lock on the database's name); running ones are ended. At any
// moment, a crash leaves either both old names or both new ones. Throws Error(busy) if sessions
// cannot be ended; then nothing has changed.
void swap_databases(Connection& admin, const Conninfo& server, const std::string& live,
                    const std::string& fresh, const std::string& kept, const Run& run);

// Databases that interrupted restores of `name` left behind.
std::vector<std::string> leftover_databases(Connection& admin, const std::string& name);

}  // namespace holdfast
