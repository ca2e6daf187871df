// One store made of several, for writing: what is put goes to every member that still works, so
// that a backup is made once and stands in a folder and in a bucket.
//
// A member that fails is dropped with its error, and the others go on; only when none is left does
// the failure become the caller's. A dropped member gets nothing more, also no removal of its
// claim, so that what it holds of an unfinished object is cleared by its next run (catalog.h).
// Reading asks the members in their order; the first that has the object answers. As thread-safe as
// its members. The members outlive it.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "store/object_store.h"

namespace holdfast {

class MirrorStore final : public ObjectStore {
 public:
  // `on_drop` is told, once, of each member that is dropped (by its number in `members`).
  using OnDrop = std::function<void(size_t member, const Error& error)>;
  explicit MirrorStore(std::vector<ObjectStore*> members, OnDrop on_drop = {});

  // Why a member was dropped; nothing for one that works.
  std::optional<Error> error_of(size_t member) const;
  // Drops a member for a reason that the caller found.
  void drop(size_t member, const Error& error);

  std::string location() const override;
  std::unique_ptr<ObjectWriter> put(const std::string& name,
                                    const PutOptions& options = {}) override;
  std::unique_ptr<ObjectReader> open(const std::string& name) override;
  ObjectInfo head(const std::string& name) override;
  std::vector<ObjectInfo> list(const std::string& prefix) override;
  void remove(const std::string& name) override;
  // Drops members that cannot be written.
  void check_writable(uint64_t bytes_expected) override;
  // Of the member that had most.
  size_t reap_unfinished(const LeftoverTest& may_clear) override;

 private:
  friend class MirrorWriter;

  // Runs `work` for every member that works; those that throw are dropped, unless all do: then the
  // first error is thrown.
  void for_each(const std::function<void(size_t, ObjectStore&)>& work);
  // The answer of the first member that has one; a member that fails otherwise than by not_found is
  // dropped.
  template <typename Ask>
  auto first_answer(Ask&& ask);

  struct Member {
    ObjectStore* store;
    std::optional<Error> error;
  };
  mutable std::mutex mutex_;
  std::vector<Member> members_;  // errors are guarded by mutex_
  OnDrop on_drop_;
};

}  // namespace holdfast
