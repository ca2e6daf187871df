// One run for each firing, on whichever of several hosts: before a host starts a run, it writes
// schedule/<source>-<database>-<job>-<firing>.claim into a store that all of them share. An object
// is never replaced (store/object_store.h), so one of them succeeds, and the others know that the
// run is not theirs.
//
// Not a lock that is held: what is claimed stays claimed, also if its host dies a moment later.
// Repeating it would be a guess; that host reports it, and so does the age of the newest backup.
// `database` is 8 digits that stand for the database, so that two hosts which call different
// databases by one name never keep each other from backing up; where the database is on the host
// itself, they stand for the host as well.
//
// Names begin with kClaimsPrefix, which no backup's do: lists, retention and the clearing of
// leftovers pass them over (docs/format/store.md). Thread-safe as far as the store is.
#pragma once

#include <string>

#include "base/clock.h"
#include "store/object_store.h"

namespace holdfast {

constexpr std::string_view kClaimsPrefix = "schedule/";
// As long as anybody could come back and still start a run late, and well beyond.
constexpr std::chrono::hours kClaimKeptFor{7 * 24};

class FiringClaims {
 public:
  // `database`: whatever tells this database from others of that name; only its hash is kept.
  // The store outlives it.
  FiringClaims(ObjectStore& store, const std::string& source, const std::string& database,
               std::string host);

  // Whether the run is this host's. The winner removes claims that are older than kClaimKeptFor.
  // Throws what the store throws if it cannot say.
  bool claim(const std::string& job, UtcTime firing, UtcTime now);

  // How many firings from `first` to `last` were claimed, by any host.
  size_t claimed_between(const std::string& job, UtcTime first, UtcTime last);

  const ObjectStore& store() const { return store_; }

 private:
  std::string beginning(const std::string& job) const;
  void remove_old(UtcTime now);

  ObjectStore& store_;
  std::string source_, host_;
};

}  // namespace holdfast
