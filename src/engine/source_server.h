// The source's own server, as far as the engine has to do with it besides receiving its WAL: who
// may log in, what databases there are, and, where its data folder is the engine's (managed),
// stopping and starting it and recovering a copy of it beside it.
//
// An interface, because an in-place restore is tried step by step in tests without a server. Any
// thread may call; stop, start and recover_aside only one at a time. Errors: unavailable (cannot be
// reached, does not start or stop; with its last words), denied (the login lacks a right), exists,
// not_found, unsupported (what needs a managed source, without one).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/run.h"
#include "base/secret.h"
#include "engine/branch_storage.h"
#include "pg/client_tools.h"
#include "pg/conninfo.h"
#include "pg/lsn.h"

namespace holdfast {

struct ManagedSource;

struct SourceRole {
  std::string name;
  bool login = true;
};

struct SourceDatabase {
  int64_t id = 0;  // its oid
  std::string name, owner;
};

// A role that can log in, with everything that it takes to make it again.
struct SourceLogin {
  std::string name;
  Secret verifier;         // pg_authid.rolpassword: SCRAM or MD5, never plain; empty: none
  std::string attributes;  // for CREATE ROLE: "SUPERUSER CREATEDB …"
};

class SourceServer {
 public:
  virtual ~SourceServer() = default;

  virtual const Conninfo& conninfo() const = 0;
  virtual bool managed() const = 0;
  virtual std::string data_folder() const = 0;  // of a managed one

  virtual int version() = 0;  // 150018
  virtual std::vector<SourceRole> roles() = 0;
  virtual std::vector<SourceDatabase> databases() = 0;
  virtual uint64_t database_bytes() = 0;
  virtual void create_role(const std::string& name, const Secret& password, bool login) = 0;
  virtual void drop_role(const std::string& name) = 0;
  virtual void set_password(const std::string& role, const Secret& password) = 0;
  virtual void create_database(const std::string& name, const std::string& owner) = 0;
  virtual void update_database(const std::string& name, const std::string& new_name,
                               const std::string& new_owner) = 0;
  virtual void drop_database(const std::string& name) = 0;

  // Of a managed source.
  virtual bool running() = 0;
  virtual void start(const Run& run) = 0;  // harmless when it runs; returns when it takes logins
  virtual void stop(const Run& run) = 0;   // clean; harmless when it is stopped
  virtual std::vector<SourceLogin> logins() = 0;
  // Throws Error(unsupported) naming what keeps it from being restored in place (tablespaces).
  virtual void check_restorable() = 0;
  // Of the stopped source: where the record of its last checkpoint, the last thing that it wrote,
  // begins. Throws Error(unavailable) if it was not shut down cleanly.
  virtual Lsn shutdown_checkpoint() = 0;
  // Recovers `folder` (as BranchStorage::bring left it) beside the running source, reachable by
  // nobody; promotes it, gives the logins their passwords, makes those that are missing, takes over
  // the source's configuration files, and leaves it shut down cleanly. A crash leaves a folder that
  // has to be brought again.
  virtual void recover_aside(const std::string& folder, const BroughtFolder& brought,
                             const std::vector<SourceLogin>& logins, const Run& run) = 0;
};

// The real one. `managed` may be null; it must outlive the server, as `tools` need not.
std::unique_ptr<SourceServer> make_source_server(const Conninfo& source,
                                                 const ManagedSource* managed, ClientTools tools,
                                                 const std::string& work_folder);

}  // namespace holdfast
