// What is done to a promoted branch, by SQL and before any client gets in, so that it cannot reach
// the outside and nobody of the source's gets in: passwords, subscriptions, slots,
// logging that was attached to roles and databases.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/secret.h"
#include "pg/connection.h"

namespace holdfast {

struct QuarantineReport {
  int roles = 0;                      // whose password was changed
  int subscriptions = 0;              // disabled, and detached from their slots at the publisher
  int slots = 0;                      // dropped
  std::vector<std::string> prepared;  // names of prepared transactions: they hold their locks
};

// A session of the same superuser in another database.
using ConnectTo = std::function<Connection(const std::string& database)>;

// Idempotent; what it says is durable when it returns.
QuarantineReport quarantine(Connection& admin, const ConnectTo& connect_to,
                            const std::map<std::string, Secret>& passwords);

// The SCRAM verifier of a password, for ALTER ROLE … PASSWORD: the password itself never reaches
// the server, nor its log.
std::string password_verifier(Connection& admin, const std::string& role, const Secret& password);

// A verifier that no password belongs to that anybody knows.
std::string unknown_password_verifier();

}  // namespace holdfast
