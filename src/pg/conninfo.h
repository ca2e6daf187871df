// Where a database is and how to log in: a libpq connection string or URL taken apart, so that the
// password can be kept away from argument lists, logs and errors, and parts can be changed.
//
// Parsing is libpq's own (PQconninfoParse): every URL and every list of keyword=value pairs that
// psql takes is taken here, but for a few URLs that can only be a password with unescaped
// characters in it (libpq would take its parts for a host, a port or a database, and then show
// them). Values not given come from libpq's environment, service file and defaults when connecting.
// Immutable after construction but for with_*() copies.
#pragma once

#include <map>
#include <string>
#include <vector>

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
  std::string user() const;    // as given, else PGUSER, else the operating system's
  // An empty value takes the parameter out.
  Conninfo with(const std::string& keyword, const std::string& value) const;
  Conninfo with_password(Secret password) const;

  // `postgresql://user@host:port/db`, without any secret: for messages and manifests. What was not
  // given is filled in as libpq would.
  std::string display() const;
  // `host:port`, or the folder of the unix socket and the port, for messages.
  std::string display_server() const;

  // Whether the host is a connection pooler's (Neon's `-pooler` endpoint names).
  bool pooled() const;
  // The same with `-pooler` taken off the host's first label.
  Conninfo direct() const;

  // For PQconnectdbParams: all parameters, password included.
  std::map<std::string, std::string> parameters_with_secret() const;
  const std::map<std::string, std::string>& parameters() const { return parameters_; }

  // What libpq would use: parameters given, then those of its service file, then its environment,
  // then the user's name. Parameters that stand at libpq's own default are left out, and so are
  // secrets. Nothing is connected to. Throws Error(invalid) if libpq refuses them.
  std::map<std::string, std::string> resolved() const;

 private:
  friend class ChildLogin;
  std::map<std::string, std::string> resolved_with_secret() const;
  std::map<std::string, std::string> resolved_or_given() const;

  std::map<std::string, std::string> parameters_;  // without the secret ones
  Secret password_;
  std::map<std::string, Secret> other_secrets_;  // sslpassword and the like
};

// How a child such as pg_dump logs in: two in-memory files that it inherits, named by environment
// variables. Nothing secret is in its arguments or environment, and it needs nothing of our own
// environment: all that libpq would take from there is in the files. Pass `dbname_argument` as the
// value of --dbname. Keep the object alive until the child has ended. The child must run as the
// same user: the files are 0600.
//
// The client's encoding is not passed on: pg_dump then writes in the database's own.
class ChildLogin {
 public:
  // Throws Error(invalid) for a value that libpq's files cannot hold (a line break).
  explicit ChildLogin(const Conninfo& conninfo);
  std::map<std::string, std::string> env() const;  // PGSERVICEFILE, PGPASSFILE
  std::vector<int> inherit() const;
  std::string dbname_argument() const { return "service=holdfast"; }

 private:
  Fd service_file_, password_file_;
  std::map<std::string, std::string> env_;
};

// What every connection of ours and of our children asks for unless the user says otherwise: a
// limit for connecting, and probes, so that a server that vanished without a word is noticed.
std::map<std::string, std::string> connection_defaults(int timeout_seconds);

constexpr int kConnectTimeoutSeconds = 15;

}  // namespace holdfast
