#include "engine/compute_quarantine.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>

#include "base/error.h"

namespace holdfast {
namespace {

// RFC 5802, RFC 7677: what PostgreSQL itself writes (scram-common.h).
constexpr size_t kSaltBytes = 16, kKeyBytes = 32;
constexpr int kIterations = 4096;

std::string random_base64(size_t size) {
  std::array<unsigned char, kKeyBytes> bytes{};
  std::array<unsigned char, 4 * ((kKeyBytes + 2) / 3) + 1> text{};
  if (RAND_bytes(bytes.data(), static_cast<int>(size)) != 1)
    throw Error(ErrorCode::internal, "no random bytes from OpenSSL");
  int length = EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(size));
  return {reinterpret_cast<const char*>(text.data()), static_cast<size_t>(length)};
}

int change_passwords(Connection& admin, const std::map<std::string, Secret>& passwords) {
  QueryResult roles = admin.query(
      "SELECT rolname, rolcanlogin, rolpassword IS NOT NULL FROM pg_authid "
      "WHERE rolname !~ '^pg_' ORDER BY oid");
  std::string statements;
  int changed = 0;
  for (int row = 0; row < roles.rows(); ++row) {
    const std::string role = roles.text(row, 0);
    auto given = passwords.find(role);
    std::string password;
    if (given != passwords.end())
      password = admin.quote_literal(password_verifier(admin, role, given->second));
    else if (roles.boolean(row, 1))
      password = admin.quote_literal(unknown_password_verifier());
    else if (roles.boolean(row, 2))
      password = "NULL";  // the source's would come back with ALTER ROLE … LOGIN
    else
      continue;
    statements += fmt::format("ALTER ROLE {} PASSWORD {};", admin.quote_identifier(role), password);
    ++changed;
  }
  if (!statements.empty()) admin.execute(statements);
  return changed;
}

// Directly in the catalog, which is shared by all databases: ALTER SUBSCRIPTION would need a
// session in each of them, and would run their event triggers. Without a slot's name, DROP
// SUBSCRIPTION does not go to the publisher and drop the source's slot there (as long as no table
// is being copied: see forget_unfinished_copies).
int disable_subscriptions(Connection& admin) {
  return static_cast<int>(
      admin
          .query("UPDATE pg_subscription SET subenabled = false, subslotname = NULL "
                 "WHERE subenabled OR subslotname IS NOT NULL")
          .affected());
}

// A table whose first copy was not done has a slot of its own at the publisher, whose name is made
// of things that source and branch share: DROP SUBSCRIPTION goes there (since 14, even without a
// slot's name), drops that slot if it is idle, and waits for it as long as it is not. The catalog
// of these tables is each database's own. Nobody can get into one that takes no connections, to
// drop a subscription or otherwise.
void forget_unfinished_copies(Connection& admin, const ConnectTo& connect_to) {
  QueryResult found = admin.query(
      "SELECT DISTINCT datname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid "
      "WHERE datallowconn ORDER BY datname");
  for (int row = 0; row < found.rows(); ++row)
    connect_to(found.text(row, 0))
        .execute("DELETE FROM pg_subscription_rel WHERE srsubstate <> 'r'");
}

// What is attached to roles and databases beats the configuration, and some of it writes statements
// into the log.
void stop_logging(Connection& admin) {
  QueryResult found = admin.query(
      "SELECT d.datname, r.rolname, split_part(setting, '=', 1) FROM pg_db_role_setting s "
      "CROSS JOIN unnest(s.setconfig) setting LEFT JOIN pg_database d ON d.oid = s.setdatabase "
      "LEFT JOIN pg_roles r ON r.oid = s.setrole "
      "WHERE split_part(setting, '=', 1) ~ '^((log|debug)_|auto_explain\\.)[a-z_]+$'");
  std::string statements;
  for (int row = 0; row < found.rows(); ++row) {
    auto name = [&](int column) { return admin.quote_identifier(found.text(row, column)); };
    const bool of_role = !found.null(row, 1), of_database = !found.null(row, 0);
    std::string whose = of_role ? "ROLE " + name(1) : "ROLE ALL";
    if (of_database) whose = of_role ? whose + " IN DATABASE " + name(0) : "DATABASE " + name(0);
    statements += fmt::format("ALTER {} RESET {};", whose, found.text(row, 2));
  }
  if (!statements.empty()) admin.execute(statements);
}

}  // namespace

std::string password_verifier(Connection& admin, const std::string& role, const Secret& password) {
  std::unique_ptr<char, void (*)(void*)> verifier(
      PQencryptPasswordConn(admin.raw(), password.reveal().c_str(), role.c_str(), "scram-sha-256"),
      PQfreemem);
  if (!verifier)
    throw Error(ErrorCode::invalid, fmt::format("the password of role {} cannot be used", role));
  return verifier.get();
}

std::string unknown_password_verifier() {
  return fmt::format("SCRAM-SHA-256${}:{}${}:{}", kIterations, random_base64(kSaltBytes),
                     random_base64(kKeyBytes), random_base64(kKeyBytes));
}

QuarantineReport quarantine(Connection& admin, const ConnectTo& connect_to,
                            const std::map<std::string, Secret>& passwords) {
  QuarantineReport report;
  admin.execute("BEGIN");
  report.roles = change_passwords(admin, passwords);
  stop_logging(admin);
  report.subscriptions = disable_subscriptions(admin);
  admin.execute("COMMIT");
  forget_unfinished_copies(admin, connect_to);
  report.slots = admin
                     .query(
                         "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                         "WHERE NOT active")
                     .rows();
  QueryResult prepared = admin.query("SELECT gid FROM pg_prepared_xacts ORDER BY prepared");
  for (int row = 0; row < prepared.rows(); ++row) report.prepared.push_back(prepared.text(row, 0));
  return report;
}

}  // namespace holdfast
