// The engine: branches, computes, snapshots and operations of one source, as the Neon API knows
// them. It is what the HTTP handlers call, and knows nothing of HTTP.
//
// Records live in memory and in <work>/engine.db (state.h), written before a call returns: what was
// answered survives a kill -9. Work that takes time is an operation (operations.h): the call
// answers with operations in flight, and a thread of the engine carries them out; after a crash
// they are gone on with. Two operations on one branch never run at once: they queue.
//
// `main` is the source itself: its branch is there from the start, has the source's own server as
// its endpoint, and cannot be deleted. The *default* branch is at first `main`, and otherwise only
// a mark: the parent of a branch that names none, the branch of a connection string that names
// none, and protected from deletion and expiry. Marking another branch moves no data, and the
// source goes on being `main`: in-place restore is always a restore of `main`, whichever branch is
// the default.
//
// Connecting: there is no proxy, so a suspended compute is not woken by a client. It is woken by
// whoever asks how to connect (reveal_password, connection_uri). A read_only endpoint shows its
// branch as it was when the endpoint was started; starting it again shows the present.
//
// Thread-safe. Errors, and the HTTP status that each becomes: not_found 404, exists 409 ("branch
// already exists"), invalid 400, unsupported and violated 422 (a message that begins with CAPITALS
// and a colon carries the API's code: "BRANCHES_LIMIT_EXCEEDED: …"), busy 423, unavailable 503,
// internal 500.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/run.h"
#include "engine/branch_storage.h"
#include "neon/types.h"
#include "pg/client_tools.h"
#include "pg/conninfo.h"

namespace holdfast {

// A source whose data folder and life are the engine's. Without one, the source is only received
// from, and restoring it in place is refused with the way to do it.
struct ManagedSource {
  std::string data_folder;
  // Run by /bin/sh -c, as the engine's user; empty: pg_ctl on the data folder.
  std::string start_command, stop_command;
};

struct EngineSettings {
  Conninfo
      source;  // with rights to replicate and to read pg_authid where in-place restore is wanted
  std::optional<ManagedSource> managed;
  std::string storage_folder, work_folder;
  std::string listen_address = "127.0.0.1";   // of computes
  std::string advertised_host = "127.0.0.1";  // in connection strings
  int port_first = 15500, port_last = 15999;  // of computes
  std::string project_name = "holdfast";
  int64_t history_retention_seconds = 7 * 86400;
  int64_t snapshot_interval_seconds = 6 * 3600;
  int computes_max = 10;  // running at once
  size_t branches_max = 5000;
  int64_t suspend_timeout_seconds = 0;        // default of endpoints; 0: never
  std::vector<std::string> roles, databases;  // shown by default; empty: the source URL's own
  std::string pg_bindir;
};

struct BranchQuery {
  std::string search;                  // part of the name or the id
  std::string sort_by = "updated_at";  // name, created_at, updated_at
  bool ascending = false;
  size_t limit = 0;  // 0: all
  std::string cursor;
};

struct BranchPage {
  std::vector<neon::Branch> branches;
  std::string next;  // cursor; empty on the last page
};

struct SnapshotRequest {
  std::optional<std::string> name, slug, lsn;
  std::optional<UtcTime> timestamp, expires_at;
};

class Engine {
 public:
  // Opens or makes the folders, goes on with what a crash interrupted, starts receiving.
  static std::unique_ptr<Engine> open(const EngineSettings& settings, const Run& run);
  virtual ~Engine() = default;

  virtual neon::Project project() const = 0;
  virtual neon::Project update_project(const std::optional<std::string>& name,
                                       const std::optional<int64_t>& history_retention_seconds) = 0;
  virtual StorageHealth health() const = 0;
  virtual std::vector<Window> windows() const = 0;

  virtual BranchPage branches(const BranchQuery& query) const = 0;
  virtual size_t branch_count(const std::string& search) const = 0;
  virtual neon::Branch branch(const std::string& id) const = 0;
  virtual neon::Changed create_branch(const neon::BranchCreateRequest& request) = 0;
  virtual neon::Changed update_branch(const std::string& id,
                                      const neon::BranchUpdateRequest& request) = 0;
  // Without a value when it is gone already (204).
  virtual std::optional<neon::Changed> delete_branch(const std::string& id) = 0;
  virtual neon::Changed set_default_branch(const std::string& id) = 0;
  virtual neon::Changed restore_branch(const std::string& id,
                                       const neon::BranchRestoreRequest& request) = 0;
  // SQL of the schema at a point (empty: now), as pg_dump --schema-only writes it.
  virtual std::string schema(const std::string& id, const std::string& database,
                             const std::optional<std::string>& lsn,
                             const std::optional<UtcTime>& time) = 0;

  virtual std::vector<neon::Endpoint> endpoints(
      const std::optional<std::string>& branch_id) const = 0;
  virtual neon::Endpoint endpoint(const std::string& id) const = 0;
  virtual neon::Changed create_endpoint(const neon::EndpointRequest& request) = 0;
  virtual neon::Changed update_endpoint(const std::string& id,
                                        const neon::EndpointRequest& request) = 0;
  virtual std::optional<neon::Changed> delete_endpoint(const std::string& id) = 0;
  virtual neon::Changed start_endpoint(const std::string& id) = 0;
  virtual neon::Changed suspend_endpoint(const std::string& id) = 0;
  virtual neon::Changed restart_endpoint(const std::string& id) = 0;

  virtual std::vector<neon::Role> roles(const std::string& branch_id) = 0;
  virtual neon::Role role(const std::string& branch_id, const std::string& name) = 0;
  virtual neon::Changed create_role(const std::string& branch_id, const std::string& name,
                                    bool login) = 0;
  virtual std::optional<neon::Changed> delete_role(const std::string& branch_id,
                                                   const std::string& name) = 0;
  virtual std::optional<Secret> reveal_password(const std::string& branch_id,
                                                const std::string& name) = 0;  // none: 412
  virtual neon::Changed reset_password(const std::string& branch_id, const std::string& name) = 0;

  virtual std::vector<neon::Database> databases(const std::string& branch_id) = 0;
  virtual neon::Database database(const std::string& branch_id, const std::string& name) = 0;
  virtual neon::Changed create_database(const std::string& branch_id, const std::string& name,
                                        const std::string& owner) = 0;
  virtual neon::Changed update_database(const std::string& branch_id, const std::string& name,
                                        const std::optional<std::string>& new_name,
                                        const std::optional<std::string>& new_owner) = 0;
  virtual std::optional<neon::Changed> delete_database(const std::string& branch_id,
                                                       const std::string& name) = 0;
  virtual neon::ConnectionUri connection_uri(const std::optional<std::string>& branch_id,
                                             const std::optional<std::string>& endpoint_id,
                                             const std::string& database,
                                             const std::string& role) = 0;

  virtual std::vector<neon::Snapshot> snapshots() const = 0;
  virtual neon::Changed create_snapshot(const std::string& branch_id,
                                        const SnapshotRequest& request) = 0;
  virtual neon::Snapshot update_snapshot(const std::string& id,
                                         const std::optional<std::string>& name,
                                         bool has_expires_at,
                                         const std::optional<UtcTime>& expires_at) = 0;
  virtual neon::Changed delete_snapshot(const std::string& id) = 0;
  virtual neon::Changed restore_snapshot(const std::string& id,
                                         const std::optional<std::string>& name,
                                         const std::optional<std::string>& target_branch_id,
                                         bool finalize) = 0;
  virtual neon::Changed finalize_restore(const std::string& branch_id,
                                         const std::optional<std::string>& name) = 0;
  virtual std::vector<neon::ScheduleItem> schedule(const std::string& branch_id) const = 0;
  virtual void set_schedule(const std::string& branch_id,
                            const std::vector<neon::ScheduleItem>& items) = 0;

  // Newest first, at most `limit`, those before `cursor` (an operation's id; empty: from the
  // newest).
  virtual std::vector<neon::Operation> operations(size_t limit,
                                                  const std::string& cursor) const = 0;
  virtual neon::Operation operation(const std::string& id) const = 0;
  // Waits until they have ended, at most so long; returns them as they are then.
  virtual std::vector<neon::Operation> wait(const std::vector<neon::Operation>& operations,
                                            std::chrono::milliseconds at_most) = 0;
};

}  // namespace holdfast
