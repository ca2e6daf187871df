// The Neon API from the client's side: Neon's cloud and Holdfast's own engine alike.
//
// Every function is one thing of the API, as plain data (types.h). Lists come whole, whatever their
// style of paging. What is asked for once happens once: after a lost answer the client reads back
// what became of it before it sends anything again, so that no branch, compute, snapshot, role or
// database is ever made twice. A mutation answers with operations in flight; finish() waits for
// their end.
//
// Throws Error as api_error.h says, with the step in its message and the next one in its hint; no
// error holds a key or a password. One thread at a time. The project is asked for once, when it is
// first needed.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "neon/api_caller.h"
#include "neon/history.h"
#include "neon/json.h"
#include "neon/types.h"

namespace holdfast::neon {

struct ClientSettings {
  ApiSettings api;
  std::string project_id;  // empty: the only one that the key sees
};

// How long operations are waited for: an in-place restore of a large database takes its time.
inline constexpr std::chrono::seconds kOperationsWaitMax{2 * 3600};

class Client {
 public:
  Client(ClientSettings settings, HttpTransport& transport, Waits& waits, const Run& run);

  const std::string& host() const { return caller_.host(); }

  // While one lives, the wish to stop breaks nothing off: for clearing up, which is all the more
  // needed then, and for making what would otherwise be made without our hearing of it.
  class ToTheEnd {
   public:
    explicit ToTheEnd(Client& client) : client_(client) { client_.caller_.hold_on(); }
    ~ToTheEnd() { client_.caller_.let_go(); }
    ToTheEnd(const ToTheEnd&) = delete;
    ToTheEnd& operator=(const ToTheEnd&) = delete;

   private:
    Client& client_;
  };

  // --- account and project
  // Nothing where the key may not ask: an organization's key has no user.
  std::optional<Account> account();
  std::vector<Project> projects();
  const std::string& project_id();
  Project project();
  Project update_project(const ProjectUpdateRequest& request);
  // Nothing at Neon's cloud, which has no such route.
  std::optional<History> history();

  // --- operations
  std::vector<Operation> operations(size_t most);  // newest first
  Operation operation(const std::string& id);
  // Polls those of `changed` until all have ended. Throws Error(internal) if one failed, with what
  // it says, and Error(unavailable) if one still runs after `at_most`.
  void finish(const Changed& changed, std::chrono::seconds at_most = kOperationsWaitMax);

  // --- branches
  std::vector<Branch> branches(const std::string& search = {});
  size_t branch_count(const std::string& search = {});
  Branch branch(const std::string& id);
  // `said` is an id or a name. Throws Error(not_found).
  Branch find_branch(const std::string& said);
  Branch default_branch();
  // A request without a name gets one: only by it can a lost answer be looked for.
  Changed create_branch(const BranchCreateRequest& request);
  Changed update_branch(const std::string& id, const BranchUpdateRequest& request);
  void delete_branch(const std::string& id);  // harmless when it is gone already; waits for its end
  Changed begin_delete_branch(const std::string& id);  // the same, but for the waiting
  Changed set_default_branch(const std::string& id);
  // Always with a name under which the old state is kept: Error(invalid) without one.
  Changed restore_branch(const std::string& id, const BranchRestoreRequest& request);
  std::string schema(const std::string& id, const std::string& database,
                     const std::optional<std::string>& lsn, const std::optional<UtcTime>& time);
  std::string compare_schema(const std::string& id, const std::string& base_id,
                             const std::string& database);

  // --- computes
  std::vector<Endpoint> endpoints();
  std::vector<Endpoint> endpoints_of(const std::string& branch_id);
  Endpoint endpoint(const std::string& id);
  Changed create_endpoint(const EndpointRequest& request);
  Changed update_endpoint(const std::string& id, const EndpointRequest& request);
  void delete_endpoint(const std::string& id);
  Changed start_endpoint(const std::string& id);
  Changed suspend_endpoint(const std::string& id);
  Changed restart_endpoint(const std::string& id);

  // --- roles and databases
  std::vector<Role> roles(const std::string& branch_id);
  Role role(const std::string& branch_id, const std::string& name);
  Changed create_role(const std::string& branch_id, const RoleCreateRequest& request);
  void delete_role(const std::string& branch_id, const std::string& name);
  Secret reveal_password(const std::string& branch_id, const std::string& role);
  Changed reset_password(const std::string& branch_id, const std::string& role);
  std::vector<Database> databases(const std::string& branch_id);
  Database database(const std::string& branch_id, const std::string& name);
  Changed create_database(const std::string& branch_id, const std::string& name,
                          const std::string& owner);
  Changed update_database(const std::string& branch_id, const std::string& name,
                          const DatabaseRequest& request);
  void delete_database(const std::string& branch_id, const std::string& name);
  Secret connection_uri(const std::string& branch_id, const std::string& database,
                        const std::string& role, bool pooled);

  // --- snapshots
  std::vector<Snapshot> snapshots();
  Changed create_snapshot(const std::string& branch_id, const SnapshotCreateRequest& request);
  Snapshot update_snapshot(const std::string& id, const SnapshotUpdateRequest& request);
  void delete_snapshot(const std::string& id);
  Changed restore_snapshot(const std::string& id, const SnapshotRestoreRequest& request);
  Changed finalize_restore(const std::string& branch_id, const std::optional<std::string>& name);
  std::vector<ScheduleItem> schedule(const std::string& branch_id);
  void set_schedule(const std::string& branch_id, const std::vector<ScheduleItem>& items);

 private:
  // What a request whose answer was lost has done, read back; nothing if it has done nothing yet.
  struct ReadBack {
    std::function<std::optional<Changed>()> look;
    bool knows_ours = false;  // tells our doing from another's of the same name
  };

  std::string in_project(const std::string& path);  // "/projects/<id>" + path
  std::string in_branch(const std::string& id, const std::string& path = {});
  // The answer as `read` takes it; one that it cannot take is told with its way out.
  template <typename Read>
  auto read_as(const ApiAnswer& answer, const std::string& what, Read read) const {
    try {
      return read(answer.body);
    } catch (const Error& error) {
      throw unreadable(error, what);
    }
  }
  template <typename Read>
  auto get(const std::string& path, const std::string& what, Read read) {
    return read_as(caller_.call({"GET", path, {}, what}), what, read);
  }
  Error unreadable(const Error& error, const std::string& what) const;
  // For what does no harm when it is done twice.
  Changed change(const std::string& method, const std::string& path, const std::string& body,
                 const std::string& what);
  // For what must be done once. An Error(exists) that answers a request sent again is read back.
  Changed change_once(const ApiRequest& request, const ReadBack& read_back);
  // branch_id: of what is removed, if that is a branch.
  void remove(const std::string& path, const std::string& what, const std::string& branch_id = {});
  Changed begin_remove(const std::string& path, const std::string& what,
                       const std::string& branch_id = {});
  // The branch with its computes and its operations in flight, as a mutation would have answered.
  Changed as_changed(const Branch& branch);
  std::vector<Operation> operations_in_flight(const std::string& branch_id);
  std::optional<Branch> branch_called(const std::string& name);

  ApiCaller caller_;
  std::string project_id_;
};

// Whether the text has the form of a branch's id (`br-quiet-sun-12345678`), as Neon's clients see
// it: other texts are names.
bool is_branch_id(std::string_view text);

}  // namespace holdfast::neon
