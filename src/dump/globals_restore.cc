#include "dump/globals_restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "dump/sql_tokens.h"

namespace holdfast {
namespace {

using Tokens = std::vector<std::string_view>;
using Names = std::set<std::string>;

size_t position(const Tokens& tokens, std::string_view word) {
  return static_cast<size_t>(std::find(tokens.begin(), tokens.end(), word) - tokens.begin());
}

void read_create_or_alter(const Tokens& tokens, GlobalStatement& statement) {
  using Kind = GlobalStatement::Kind;
  if (tokens[1] != "ROLE" && tokens[1] != "TABLESPACE") return;
  // Settings of a role in one database come with that database.
  if (tokens.size() > 4 && tokens[3] == "IN" && tokens[4] == "DATABASE") return;
  statement.kind = tokens[1] == "ROLE" ? Kind::role : Kind::tablespace;
  statement.subject = plain_identifier(tokens[2]);
  statement.creates = tokens[0] == "CREATE";
  statement.gives_login = statement.kind == Kind::role && position(tokens, "LOGIN") < tokens.size();
  size_t location = position(tokens, "LOCATION");
  if (location + 1 < tokens.size()) statement.location = plain_literal(tokens[location + 1]);
}

// COMMENT ON ROLE …, SECURITY LABEL … ON TABLESPACE …, GRANT … ON TABLESPACE …, GRANT a TO b.
void read_other(const Tokens& tokens, GlobalStatement& statement) {
  using Kind = GlobalStatement::Kind;
  if (tokens[0] == "GRANT" && tokens.size() > 3 && tokens[2] == "TO") {
    statement.kind = Kind::membership;
    statement.subject = plain_identifier(tokens[1]);
    statement.member = plain_identifier(tokens[3]);
    return;
  }
  size_t on = position(tokens, "ON");
  if (on + 2 >= tokens.size() || (tokens[on + 1] != "ROLE" && tokens[on + 1] != "TABLESPACE"))
    return;
  statement.kind = tokens[on + 1] == "ROLE" ? Kind::role : Kind::tablespace;
  statement.subject = plain_identifier(tokens[on + 2]);
}

Names names_in(Connection& server, const std::string& sql) {
  QueryResult found = server.query(sql);
  Names names;
  for (int row = 0; row < found.rows(); ++row) names.insert(found.text(row, 0));
  return names;
}

// Why a tablespace cannot be made; "" if it can.
std::string why_absent(Connection& server, const std::string& location) {
  if (server.query_text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") != "t")
    return "only a superuser can make one";
  try {
    QueryResult folder = server.query("SELECT (pg_stat_file($1, true)).isdir", {location});
    if (folder.null(0, 0)) return fmt::format("the server has no folder {}", location);
    if (!folder.boolean(0, 0)) return location + " is no folder";
    std::string used = fmt::format("PG_{}_", server.server_major());
    bool in_use =
        server
            .query("SELECT 1 FROM pg_ls_dir($1) name WHERE starts_with(name, $2)", {location, used})
            .rows() > 0;
    return in_use ? location + " is in use by another server" : "";
  } catch (const Error& error) {
    if (error.code() == ErrorCode::unavailable) throw;
    return error.what();
  }
}

bool has_name(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// What a login that is no superuser may not even mention is what a new role is without it.
std::string without_superuser_words(const std::string& sql, std::vector<std::string>& lost) {
  std::string result;
  for (std::string_view token : sql_tokens(sql)) {
    if (token == "NOSUPERUSER" || token == "NOREPLICATION" || token == "NOBYPASSRLS") continue;
    if (token == "SUPERUSER" || token == "REPLICATION" || token == "BYPASSRLS") {
      lost.emplace_back(token);
      continue;
    }
    if (!result.empty()) result += ' ';
    result += token;
  }
  return result;
}

// GRANT a TO b WITH ADMIN OPTION GRANTED BY c: the grantor may be nobody here.
std::string without_grantor(const std::string& sql) {
  size_t at = sql.rfind(" GRANTED BY ");
  return at == std::string::npos ? sql : sql.substr(0, at);
}

class Applier {
 public:
  Applier(const GlobalsPlan& plan, Connection& server) : plan_(plan), server_(server) {
    outcome_.kept_roles = plan.kept_roles;
    for (const AbsentTablespace& absent : plan.absent_tablespaces)
      note(fmt::format("tablespace {} was not made: {}", absent.name, absent.why));
  }

  GlobalsOutcome apply(const std::vector<GlobalStatement>& statements) {
    using Kind = GlobalStatement::Kind;
    for (const GlobalStatement& statement : statements) {
      if (statement.kind == Kind::role) apply_role(statement);
      if (statement.kind == Kind::membership) apply_membership(statement);
      if (statement.kind == Kind::tablespace) apply_tablespace(statement);
    }
    if (!without_password_.empty()) {
      std::string names;
      for (const std::string& name : without_password_) names += (names.empty() ? "" : ", ") + name;
      note(fmt::format("passwords are not in a backup: set those of {} (psql: \\password ROLE)",
                       names));
    }
    return std::move(outcome_);
  }

 private:
  void note(std::string text) { outcome_.notes.push_back(std::move(text)); }

  // False, with the server's words, if it refused.
  bool run(const std::string& sql, std::string& refusal) {
    try {
      server_.execute(sql);
      return true;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::unavailable || server_.last_sqlstate().empty()) throw;
      refusal = error.what();
      return false;
    }
  }

  void apply_role(const GlobalStatement& statement) {
    const std::string& role = statement.subject;
    if (!has_name(plan_.new_roles, role)) return;
    std::string refusal;
    if (!run(statement.sql, refusal)) {
      std::vector<std::string> lost;
      std::string less = without_superuser_words(statement.sql, lost);
      if (less == statement.sql || !run(less, refusal))
        return note(fmt::format("role {}: {}", role, refusal));
      for (const std::string& word : lost)
        note(fmt::format("role {} did not get {}: only a superuser can give it", role, word));
    }
    if (statement.creates) outcome_.new_roles.push_back(role);
    if (statement.gives_login) without_password_.push_back(role);
  }

  void apply_membership(const GlobalStatement& statement) {
    QueryResult member = server_.query(
        "SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
        " JOIN pg_roles u ON u.oid = m.member WHERE r.rolname = $1 AND u.rolname = $2",
        {statement.subject, statement.member});
    if (member.rows() > 0) return;
    std::string what = fmt::format("{} is not a member of {}", statement.member, statement.subject);
    if (!has_name(plan_.new_roles, statement.subject) &&
        !has_name(plan_.new_roles, statement.member))
      return note(what + ", as it was: both roles were here already and are kept as they are");
    std::string refusal;
    if (run(statement.sql, refusal) || run(without_grantor(statement.sql), refusal)) return;
    note(fmt::format("{}: {}", what, refusal));
  }

  void apply_tablespace(const GlobalStatement& statement) {
    if (!has_name(plan_.new_tablespaces, statement.subject)) return;
    std::string refusal;
    if (!run(statement.sql, refusal))
      return note(fmt::format("tablespace {}: {}", statement.subject, refusal));
    if (statement.creates) outcome_.new_tablespaces.push_back(statement.subject);
  }

  const GlobalsPlan& plan_;
  Connection& server_;
  GlobalsOutcome outcome_;
  std::vector<std::string> without_password_;
};

}  // namespace

std::vector<GlobalStatement> parse_globals(const std::string& sql) {
  std::vector<GlobalStatement> statements;
  for (const Tokens& tokens : sql_statements(sql)) {
    if (tokens.front() == "SET") continue;
    GlobalStatement statement;
    statement.sql = std::string(text_of(tokens));
    if (tokens.size() > 2 && (tokens[0] == "CREATE" || tokens[0] == "ALTER"))
      read_create_or_alter(tokens, statement);
    else
      read_other(tokens, statement);
    statements.push_back(std::move(statement));
  }
  return statements;
}

GlobalsPlan plan_globals(const std::vector<GlobalStatement>& statements, Connection& server) {
  Names roles = names_in(server, "SELECT rolname FROM pg_roles");
  Names tablespaces = names_in(server, "SELECT spcname FROM pg_tablespace");
  GlobalsPlan plan;
  for (const GlobalStatement& statement : statements) {
    if (!statement.creates) continue;
    const std::string& name = statement.subject;
    if (statement.kind == GlobalStatement::Kind::role) {
      (roles.count(name) > 0 ? plan.kept_roles : plan.new_roles).push_back(name);
    } else if (tablespaces.count(name) > 0) {
      plan.kept_tablespaces.push_back(name);
    } else if (std::string why = why_absent(server, statement.location); !why.empty()) {
      plan.absent_tablespaces.push_back({name, why});
    } else {
      plan.new_tablespaces.push_back(name);
    }
  }
  return plan;
}

GlobalsOutcome apply_globals(const std::vector<GlobalStatement>& statements,
                             const GlobalsPlan& plan, Connection& server) {
  return Applier(plan, server).apply(statements);
}

void create_placeholder_roles(Connection& server, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    server.execute(fmt::format("CREATE ROLE {} NOLOGIN", server.quote_identifier(name)));
}

}  // namespace holdfast
