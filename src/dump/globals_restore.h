// Roles and tablespaces brought back on a new server, from what pg_dumpall --globals-only wrote.
//
// Why not psql: a server that is recovered to has roles of its own (the login, the provider's), and
// a plain replay would change them or stop at them. Here every statement is read, what is there
// already is kept as it is, and what the login may not do is said and left out. Running it again
// changes nothing. Passwords are not in a backup: roles that could log in cannot until they get
// one.
#pragma once

#include <string>
#include <vector>

#include "pg/connection.h"

namespace holdfast {

struct GlobalStatement {
  enum class Kind { role, membership, tablespace, other };
  Kind kind = Kind::other;
  std::string sql;           // without the ";"
  std::string subject;       // the role (the granted one of a membership) or tablespace
  std::string member;        // of a membership: who gets it
  std::string location;      // of CREATE TABLESPACE
  bool creates = false;      // CREATE ROLE, CREATE TABLESPACE
  bool gives_login = false;  // ALTER ROLE … LOGIN
};

// Takes apart the text of a globals object. What it does not know is Kind::other. Pure.
std::vector<GlobalStatement> parse_globals(const std::string& sql);

struct AbsentTablespace {
  std::string name, why;
};

// What would be done on a server.
struct GlobalsPlan {
  std::vector<std::string> new_roles, kept_roles;
  std::vector<std::string> new_tablespaces, kept_tablespaces;
  std::vector<AbsentTablespace> absent_tablespaces;
};
GlobalsPlan plan_globals(const std::vector<GlobalStatement>& statements, Connection& server);

struct GlobalsOutcome {
  std::vector<std::string> new_roles, kept_roles, new_tablespaces;
  std::vector<std::string> notes;  // what was left out and why; roles that need a password
};
// Does it. Only what is not there is made and set. A statement that the server refuses is a note; a
// lost connection throws.
GlobalsOutcome apply_globals(const std::vector<GlobalStatement>& statements,
                             const GlobalsPlan& plan, Connection& server);

// Roles that may not log in and own nothing yet, for what a backup names and nobody knows.
void create_placeholder_roles(Connection& server, const std::vector<std::string>& names);

}  // namespace holdfast
