// Looking into a branch: its compute, running for as long as somebody looks, and how to log in to
// it. The compute is afterwards as it was before: one that was made for the look is deleted, one
// that slept sleeps again, one that ran runs on. So it is also after an error, and after the user
// has asked to stop: what clears up is not broken off by that.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/run.h"
#include "base/secret.h"
#include "neon/client.h"
#include "pg/connection.h"

namespace holdfast {

// Which login of a branch is meant; an empty member stands for the only one that there is, or for
// the preferred one among several.
struct LoginChoice {
  std::string role, database;
  bool pooled = false;
  std::string preferred_role{}, preferred_database{};
};

struct BranchLogin {
  Secret url;  // with the password
  std::string role, database;
};

// Throws Error(invalid) that lists what there is if several could be meant, Error(not_found) if
// there is none.
BranchLogin branch_login(neon::Client& client, const neon::Branch& branch,
                         const LoginChoice& choice);

// Of `endpoints`, the branch's one that reads and writes.
std::optional<neon::Endpoint> writer_of(const std::string& branch_id,
                                        const std::vector<neon::Endpoint>& endpoints);
// The branch's compute that reads and writes, started if it is suspended (a branch without one gets
// one if `make_one`). Returns when it runs.
neon::Endpoint ready_endpoint(neon::Client& client, const neon::Branch& branch, bool make_one);

// A connection to a compute that was just woken: a cold start is waited for.
Connection await_connection(const Conninfo& conninfo, const Run& run);

class ComputeAccess {
 public:
  // Waits until the compute takes connections: a cold start is no failure. Throws Error; then the
  // compute is as it was.
  ComputeAccess(neon::Client& client, neon::Branch branch, const LoginChoice& choice,
                const Run& run);
  ~ComputeAccess();  // close(), with a warning where that fails
  ComputeAccess(const ComputeAccess&) = delete;
  ComputeAccess& operator=(const ComputeAccess&) = delete;

  const Conninfo& conninfo() const { return conninfo_; }
  const neon::Branch& branch() const { return branch_; }
  // The compute becomes what it was before. Throws Error: it may be tried again. Nothing once done.
  void close();

 private:
  enum class Before { running, asleep, none };
  void undo_start();

  neon::Client& client_;
  neon::Branch branch_;
  const Run& run_;
  Before before_ = Before::running;
  std::string endpoint_id_;  // empty: nothing to undo
  Conninfo conninfo_;
};

// A branch that is made only to be looked at, with a compute. It expires by itself within the hour
// in case nobody is left to delete it.
class ScratchBranch {
 public:
  struct Point {
    std::string parent_id;
    std::optional<UtcTime> at;       // neither: the parent's present
    std::optional<std::string> lsn;  // one of the two at most
  };

  // `purpose` begins its name: "find-<time>-<number>".
  ScratchBranch(neon::Client& client, const std::string& purpose, const Point& point,
                const Run& run);
  ~ScratchBranch();  // remove(), with a warning where that fails
  ScratchBranch(const ScratchBranch&) = delete;
  ScratchBranch& operator=(const ScratchBranch&) = delete;

  const neon::Branch& branch() const { return branch_; }
  // Waits for its end. Throws Error. Nothing the second time.
  void remove();
  // The same, but for the waiting: what is returned is still to be finished.
  neon::Changed begin_removal();

 private:
  neon::Client& client_;
  const Run& run_;
  neon::Branch branch_;
  bool made_ = false;
};

// What every branch that Holdfast makes for itself is marked with, so that it knows them again:
// only such are ever deleted by it. Values: kOfBackup, kOfScratch.
inline constexpr const char* kPurposeAnnotation = "holdfast";
inline constexpr const char* kOfBackup = "backup";
inline constexpr const char* kOfScratch = "scratch";

}  // namespace holdfast
