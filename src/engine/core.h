// The engine's implementation (engine.h): records in the state, calls that change them, and the
// operations that carry the changes out on storage, computes and the source. Cut into files by what
// they are about: engine.cc (opening, project, operations), points.cc, branches.cc, endpoints.cc,
// roles.cc, databases.cc, snapshots.cc, restore.cc, schema.cc, lifecycle.cc (what operations do),
// housekeeping.cc.
//
// How a call works: look at records under the lock, ask storage and servers without it, then draft
// the change under the lock again (looking again at all that could have moved), commit it in one
// transaction, and wake the operations.
//
// Locks, in this order: `history_` (shared: from finding a point until a record or a pin holds it;
// exclusive: trimming), the state's lock, `pins_mutex_`. Storage, servers and computes are never
// asked with the state's lock held.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <semaphore>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "base/file.h"
#include "engine/compute_control.h"
#include "engine/engine.h"
#include "engine/operations.h"
#include "engine/source_server.h"
#include "engine/state.h"

namespace holdfast {

// How long a call that makes a compute waits for it before it answers.
inline constexpr std::chrono::seconds kCreatePatience{5};

struct EngineParts {
  std::unique_ptr<FileLock> lock;          // on the work folder; null in tests
  std::unique_ptr<ManagedSource> managed;  // that `source` refers to, if it does
  std::unique_ptr<BranchStorage> storage;
  std::unique_ptr<ComputeFactory> computes;
  std::unique_ptr<SourceServer> source;
  ClientTools tools;                       // pg_dump
  std::string certificate_file, key_file;  // of computes
  std::unique_ptr<State> state;            // of the work folder
};

// A change being put together: the lock is held from draft() to commit().
struct Draft {
  std::unique_lock<std::mutex> lock;
  Change change;
  ProjectRecord project;
  std::vector<neon::Operation> operations;
};

// A restore point, and the instant that it stands for.
struct ResolvedPoint {
  RestorePoint point;
  UtcTime time;
};

// Keeps a point's history from being trimmed while it lives.
class Pin {
 public:
  Pin(class EngineCore& core, RestorePoint point);
  ~Pin();
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  const RestorePoint& point() const { return *place_; }

 private:
  EngineCore& core_;
  std::list<RestorePoint>::iterator place_;
};

// A port for a server that lives for one question only.
class LentPort {
 public:
  explicit LentPort(EngineCore& core);
  ~LentPort();
  LentPort(const LentPort&) = delete;
  LentPort& operator=(const LentPort&) = delete;
  int number() const { return number_; }

 private:
  EngineCore& core_;
  int number_;
};

class EngineCore final : public Engine, private OperationWork {
 public:
  // `probe`: for tests, called between the steps of an in-place restore.
  EngineCore(const EngineSettings& settings, EngineParts parts, const Clock& clock, Log& log,
             State::Probe probe = {});
  ~EngineCore() override;

  // Makes the first records, goes on with what a crash interrupted, and, with `background`, looks
  // after things by itself from here on.
  void start(bool background);
  // One round of housekeeping.
  void tick();

  neon::Project project() const override;
  neon::Project update_project(const std::optional<std::string>& name,
                               const std::optional<int64_t>& history_retention_seconds) override;
  StorageHealth health() const override { return storage_->health(); }
  std::vector<Window> windows() const override { return storage_->windows(); }

  BranchPage branches(const BranchQuery& query) const override;
  size_t branch_count(const std::string& search) const override;
  neon::Branch branch(const std::string& id) const override;
  neon::Changed create_branch(const neon::BranchCreateRequest& request) override;
  neon::Changed update_branch(const std::string& id,
                              const neon::BranchUpdateRequest& request) override;
  std::optional<neon::Changed> delete_branch(const std::string& id) override;
  neon::Changed set_default_branch(const std::string& id) override;
  neon::Changed restore_branch(const std::string& id,
                               const neon::BranchRestoreRequest& request) override;
  std::string schema(const std::string& id, const std::string& database,
                     const std::optional<std::string>& lsn,
                     const std::optional<UtcTime>& time) override;

  std::vector<neon::Endpoint> endpoints(const std::optional<std::string>& branch_id) const override;
  neon::Endpoint endpoint(const std::string& id) const override;
  neon::Changed create_endpoint(const neon::EndpointRequest& request) override;
  neon::Changed update_endpoint(const std::string& id,
                                const neon::EndpointRequest& request) override;
  std::optional<neon::Changed> delete_endpoint(const std::string& id) override;
  neon::Changed start_endpoint(const std::string& id) override;
  neon::Changed suspend_endpoint(const std::string& id) override;
  neon::Changed restart_endpoint(const std::string& id) override;

  std::vector<neon::Role> roles(const std::string& branch_id) override;
  neon::Role role(const std::string& branch_id, const std::string& name) override;
  neon::Changed create_role(const std::string& branch_id, const std::string& name,
                            bool login) override;
  std::optional<neon::Changed> delete_role(const std::string& branch_id,
                                           const std::string& name) override;
  std::optional<Secret> reveal_password(const std::string& branch_id,
                                        const std::string& name) override;
  neon::Changed reset_password(const std::string& branch_id, const std::string& name) override;

  std::vector<neon::Database> databases(const std::string& branch_id) override;
  neon::Database database(const std::string& branch_id, const std::string& name) override;
  neon::Changed create_database(const std::string& branch_id, const std::string& name,
                                const std::string& owner) override;
  neon::Changed update_database(const std::string& branch_id, const std::string& name,
                                const std::optional<std::string>& new_name,
                                const std::optional<std::string>& new_owner) override;
  std::optional<neon::Changed> delete_database(const std::string& branch_id,
                                               const std::string& name) override;
  neon::ConnectionUri connection_uri(const std::optional<std::string>& branch_id,
                                     const std::optional<std::string>& endpoint_id,
                                     const std::string& database, const std::string& role) override;

  std::vector<neon::Snapshot> snapshots() const override;
  neon::Changed create_snapshot(const std::string& branch_id,
                                const SnapshotRequest& request) override;
  neon::Snapshot update_snapshot(const std::string& id, const std::optional<std::string>& name,
                                 bool has_expires_at,
                                 const std::optional<UtcTime>& expires_at) override;
  neon::Changed delete_snapshot(const std::string& id) override;
  neon::Changed restore_snapshot(const std::string& id, const std::optional<std::string>& name,
                                 const std::optional<std::string>& target_branch_id,
                                 bool finalize) override;
  neon::Changed finalize_restore(const std::string& branch_id,
                                 const std::optional<std::string>& name) override;
  std::vector<neon::ScheduleItem> schedule(const std::string& branch_id) const override;
  void set_schedule(const std::string& branch_id,
                    const std::vector<neon::ScheduleItem>& items) override;

  std::vector<neon::Operation> operations(size_t limit, const std::string& cursor) const override;
  neon::Operation operation(const std::string& id) const override;
  std::vector<neon::Operation> wait(const std::vector<neon::Operation>& operations,
                                    std::chrono::milliseconds at_most) override;

 private:
  friend class Pin;
  friend class LentPort;
  using Effects = std::function<void(Change&)>;

  // OperationWork (lifecycle.cc)
  Effects run(const OperationRecord& operation, const Run& run) override;
  void failed(const OperationRecord& operation, const Error& error, Change& change) override;
  Effects do_start(const OperationRecord& operation, const Run& run);
  Effects do_suspend(const OperationRecord& operation, const Run& run);
  Effects do_remove(const OperationRecord& operation);
  Effects do_apply(const OperationRecord& operation, const Run& run);
  Effects do_snapshot(const OperationRecord& operation, const Run& run);
  Effects do_restore(const OperationRecord& operation, const Run& run);  // restore.cc
  void bring_up(const std::string& branch_id, const ComputeSettings& settings, const Run& run);
  void bring_up_reader(const EndpointRecord& endpoint, const Run& run);
  Effects do_reconfigure(const OperationRecord& operation, const Run& run);
  // After its first start a branch lists only what its compute has.
  static void settle_names(BranchRecord& branch, const std::vector<ComputeRole>& roles,
                           const std::vector<ComputeDatabase>& databases);
  static void end_active(const Tables& tables, EndpointRecord& endpoint, UtcTime now,
                         Change& change);

  // engine.cc
  Draft draft();
  neon::Operation enqueue(Draft& draft, const OperationRequest& request);
  void commit(Draft& draft);
  // Waits a while for the operations, then has the records as they are then.
  neon::Changed settle(neon::Changed changed, std::chrono::milliseconds patience);
  void make_first_records();
  void reconcile();
  void adopt_computes();
  void remove_stray_folders();
  void look_at_source();  // its roles and databases, where it can be reached
  std::string new_id(std::string_view prefix) const;
  static const BranchRecord& need_branch(const Tables& tables, const std::string& id);
  static const EndpointRecord& need_endpoint(const Tables& tables, const std::string& id);
  static const BranchRecord& source_branch(const Tables& tables);
  static const EndpointRecord* writer_of(const Tables& tables, const std::string& branch_id);
  std::string source_host() const;

  // points.cc
  std::string folder_of(const std::string& line) const;
  ComputeSettings compute_settings(const EndpointRecord& endpoint, const std::string& line) const;
  ResolvedPoint resolve(const BranchRecord& branch, const std::optional<std::string>& lsn,
                        const std::optional<UtcTime>& time);
  RestorePoint head_of(const BranchRecord& branch);
  RestorePoint point_at_lsn(const BranchRecord& branch, Lsn lsn);
  RestorePoint point_at_time(const BranchRecord& branch, UtcTime time);
  std::vector<RestorePoint> needed_points() const;

  // branches.cc
  void check_name(const Tables& tables, const std::string& name, const std::string& own_id) const;
  void check_expiry(const std::optional<UtcTime>& expires_at) const;
  void check_branches_left(const Tables& tables) const;
  // also_deleted: also those that are being removed, whose files still build on the branch's.
  static bool has_children(const Tables& tables, const BranchRecord& branch,
                           bool also_deleted = true);
  void inherit_names(const BranchRecord& parent, BranchRecord& child) const;
  BranchRecord new_branch(const Tables& tables, const std::string& name, const BranchRecord& parent,
                          const ResolvedPoint& at);
  void remove_branch(Draft& draft, const BranchRecord& branch);
  void remove_operation(Draft& draft, const BranchRecord& branch);

  // endpoints.cc
  EndpointRecord new_endpoint(Draft& draft, const neon::EndpointRequest& request,
                              const std::string& branch_id, std::set<int>& ports) const;
  static void change_endpoint(EndpointRecord& endpoint, const neon::EndpointRequest& request);
  void check_computes_left(const Tables& tables, size_t more) const;
  int free_port(const Tables& tables, std::set<int>& taken) const;
  neon::Endpoint shown(const EndpointRecord& endpoint) const;
  neon::Operation start_operation(Draft& draft, EndpointRecord endpoint);
  neon::Operation suspend_operation(Draft& draft, EndpointRecord endpoint);
  void wake(const std::string& branch_id);

  // roles.cc, databases.cc
  std::vector<std::string> listed_roles() const;
  std::vector<std::string> listed_databases() const;
  Secret password_of(const BranchRecord& branch, const RoleRecord& role) const;
  neon::ConnectionUri uri_of(const BranchRecord& branch, const EndpointRecord& endpoint,
                             const std::string& database, const RoleRecord& role) const;
  // Has a change to roles or databases made, and waits for it a while. Throws what it failed with.
  std::vector<neon::Operation> apply(const std::string& branch_id,
                                     std::map<std::string, std::string> arguments);
  std::vector<SourceRole> real_roles(const BranchRecord& branch);
  std::vector<SourceDatabase> real_databases(const BranchRecord& branch);
  std::unique_ptr<ComputeControl> running_compute(const BranchRecord& branch);

  // restore.cc
  neon::Changed restore_to(const std::string& id, const ResolvedPoint& at,
                           const std::string& source_id,
                           const std::optional<std::string>& preserve_under_name,
                           const std::optional<std::string>& snapshot_id);
  // These two return the target's record as it is to be put.
  BranchRecord restore_source(Draft& draft, const BranchRecord& target, const ResolvedPoint& at,
                              const std::string& preserve_under_name);
  BranchRecord restore_line(Draft& draft, const BranchRecord& target, const ResolvedPoint& at,
                            const std::string& source_id,
                            const std::optional<std::string>& preserve_under_name);
  void add_names(const BranchRecord& from, BranchRecord& branch) const;
  std::string kept_folder_for(const std::string& preserved_id) const;

  // snapshots.cc
  static std::string free_name(const Tables& tables, const std::string& wish);
  neon::Operation snapshot_operation(Draft& draft, const std::optional<std::string>& branch_id,
                                     const std::string& snapshot_id);
  SnapshotRecord pin_snapshot(const BranchRecord& branch, const ResolvedPoint& at) const;
  // Moves the target's name, endpoints, roles and flags to the branch that replaces it.
  void replace_branch(Draft& draft, BranchRecord& restored, const BranchRecord& target,
                      const std::string& old_name);

  // schema.cc
  std::string dump_schema(const Conninfo& server, const std::string& database) const;

  // housekeeping.cc
  void expire();
  void watch_computes();
  void watch_compute(const EndpointRecord& endpoint, const std::string& line);
  void watch_source();
  void take_due_snapshots();
  void run_schedules();
  void trim_history();
  void measure();
  void remove_again();
  void forget_old();
  bool due(const std::string& chore, std::chrono::seconds every);

  const EngineSettings settings_;
  const Clock& clock_;
  Log& log_;
  State::Probe probe_;
  ClientTools tools_;
  std::string certificate_file_, key_file_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<ManagedSource> managed_;
  std::unique_ptr<State> state_;
  std::unique_ptr<SourceServer> source_;
  std::unique_ptr<BranchStorage> storage_;
  std::unique_ptr<ComputeFactory> computes_;

  std::shared_mutex history_;
  mutable std::mutex pins_mutex_;
  std::list<RestorePoint> pins_;
  mutable std::mutex ports_mutex_;
  std::set<int> lent_ports_;                 // of computes that live for one question
  std::counting_semaphore<8> temporary_{2};  // such computes at once: each copies a snapshot
  struct Use {
    UtcTime busy_at;
    uint64_t sessions = 0;  // ever opened, when last looked at
  };
  std::map<std::string, Use> uses_;         // of endpoints; only the housekeeping's
  std::map<std::string, UtcTime> done_at_;  // of chores; likewise

  std::unique_ptr<OperationQueue> queue_;
  std::jthread housekeeper_;
};

}  // namespace holdfast
