// Where a database is and how to log in: a libpq connection string or URL taken apart, so that the
// password can be kept away from argument lists, logs and errors, and parts can be changed.
//
// Parsing is libpq's own (PQconninfoParse), so everything that psql takes is taken here. Values not
// given come from libpq's environment and defaults when connecting. Immutable after construction
// but for with_*() copies.
#pragma once

#include <map>
#include <vector>
#include <string>

#include "base/file.h"
#include "base/secret.h"

namespace holdfast {

class Conninfo {
 public:
  Conninfo() = default;
  // `text`: "postgresql://user:password@host:port/db?sslmode=require" or "host=… dbname=…".
  // Throws Error(invalid); the message never repeats the text (it may hold a password).
  static Conninfo parse(const std::string& text);

  // A parameter's value, or "" if it was not given. Never returns the password.
  std::string get(const std::string& keyword) const;
  const Secret& password() const { return password_; }
  std::string dbname() const;  // as given, else PGDATABASE, else the user's name
  Conninfo with(const std::string& keyword, const std::string& value) const;
  Conninfo with_password(Secret password) const;

  // `postgresql://user@host:port/db`, without any secret: for messages and manifests.
  std::string display() const;

  // Whether the host is a connection pooler's (Neon's `-pooler` endpoint names).
  bool pooled() const;
  // The same with `-pooler` taken off the host's first label.
  Conninfo direct() const;

  // For PQconnectdbParams: all parameters, password included.
  std::map<std::string, std::string> parameters_with_secret() const;
  std::map<std::string, std::string> parameters() const { return parameters_; }

 private:
  std::map<std::string, std::string> parameters_;  // without password and sslpassword
  Secret password_, sslpassword_;
};

// How a child such as pg_dump logs in: two in-memory files that it inherits, named by environment
// variables. Nothing secret is in its arguments or environment. Pass `dbname_argument` as the
// value of --dbname. Keep the object alive until the child has ended.
class ChildLogin {
 public:
  explicit ChildLogin(const Conninfo& conninfo);
  std::map<std::string, std::string> env() const;  // PGSERVICEFILE, PGPASSFILE
  std::vector<int> inherit() const;
  std::string dbname_argument() const { return "service=holdfast"; }

 private:
  Fd service_file_, password_file_;
};

}  // namespace holdfast
