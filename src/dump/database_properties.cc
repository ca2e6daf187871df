#include "dump/database_properties.h"

#include <fmt/format.h>

#include "dump/sql_tokens.h"

namespace holdfast {
namespace {

bool is_property(const TocEntry& entry, bool privileges) {
  if (entry.desc == "DATABASE PROPERTIES") return true;
  if (!entry.tag.starts_with("DATABASE ")) return false;
  return entry.desc == "COMMENT" || entry.desc == "SECURITY LABEL" ||
         (entry.desc == "ACL" && privileges);
}

// `ALTER DATABASE care SET …`, `ALTER ROLE app IN DATABASE care SET …`, `GRANT … ON DATABASE care
// TO …`: the name is the token after the first DATABASE.
std::string with_name(const std::vector<std::string_view>& tokens, const std::string& quoted_name) {
  std::string text(text_of(tokens));
  for (size_t i = 0; i + 1 < tokens.size(); ++i)
    if (tokens[i] == "DATABASE")
      return text.replace(static_cast<size_t>(tokens[i + 1].data() - tokens.front().data()),
                          tokens[i + 1].size(), quoted_name);
  return text;  // SET SESSION AUTHORIZATION around grants of others
}

std::vector<std::string> statements_of(const ArchiveToc& toc, const std::string& quoted_name,
                                       bool privileges) {
  std::vector<std::string> statements;
  for (const TocEntry& entry : toc.entries)
    if (is_property(entry, privileges))
      for (const auto& tokens : sql_statements(entry.defn))
        statements.push_back(with_name(tokens, quoted_name));
  return statements;
}

// For a note: without the value of a setting, which may be nobody's business.
std::string without_value(const std::string& statement) {
  size_t set = statement.find(" SET ");
  if (set == std::string::npos) return statement;
  size_t end = statement.find_first_of(" =", set + 5);
  return end == std::string::npos ? statement : statement.substr(0, end);
}

// What the server refuses, as notes.
std::vector<std::string> run_all(Connection& admin, const std::vector<std::string>& statements) {
  std::vector<std::string> notes;
  for (const std::string& statement : statements) {
    try {
      admin.execute(statement);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::unavailable || admin.last_sqlstate().empty()) throw;
      notes.push_back(fmt::format("not set: {} ({})", without_value(statement), error.what()));
    }
  }
  return notes;
}

}  // namespace

std::string database_owner(const ArchiveToc& toc) {
  for (const TocEntry& entry : toc.entries)
    if (entry.desc == "DATABASE") return entry.owner;
  return {};
}

std::vector<std::string> database_property_statements(const ArchiveToc& toc,
                                                      const std::string& quoted_name) {
  return statements_of(toc, quoted_name, true);
}

std::vector<std::string> apply_database_owner(Connection& admin, const ArchiveToc& toc,
                                              const std::string& database) {
  std::string role = database_owner(toc);
  if (role.empty()) return {};
  return run_all(admin,
                 {fmt::format("ALTER DATABASE {} OWNER TO {}", admin.quote_identifier(database),
                              admin.quote_identifier(role))});
}

std::vector<std::string> apply_database_properties(Connection& admin, const ArchiveToc& toc,
                                                   const std::string& database, bool privileges) {
  return run_all(admin, statements_of(toc, admin.quote_identifier(database), privileges));
}

}  // namespace holdfast
