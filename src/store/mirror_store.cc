#include "store/mirror_store.h"

#include <algorithm>
#include <set>
#include <utility>

namespace holdfast {
namespace {

// The user's wish to stop, and requests that no store would do.
bool not_the_members_fault(const Error& error) {
  return error.code() == ErrorCode::cancelled || error.code() == ErrorCode::exists ||
         error.code() == ErrorCode::invalid;
}

}  // namespace

// Writes to one writer per member; those of dropped members are given up, which undoes what they
// wrote.
class MirrorWriter final : public ObjectWriter {
 public:
  explicit MirrorWriter(MirrorStore& mirror) : mirror_(mirror) {}

  void add(size_t member, std::unique_ptr<ObjectWriter> writer) {
    if (writers_.size() <= member) writers_.resize(member + 1);
    writers_[member] = std::move(writer);
  }
  void write(ByteView bytes) override {
    for_each([&](ObjectWriter& writer) { writer.write(bytes); });
  }
  void commit() override {
    for_each([](ObjectWriter& writer) { writer.commit(); });
    writers_.clear();
  }

 private:
  void for_each(const std::function<void(ObjectWriter&)>& work) {
    mirror_.for_each([&](size_t member, ObjectStore&) {
      if (member >= writers_.size() || !writers_[member]) return;
      try {
        work(*writers_[member]);
      } catch (const Error&) {
        writers_[member].reset();
        throw;
      }
    });
  }

  MirrorStore& mirror_;
  std::vector<std::unique_ptr<ObjectWriter>> writers_;
};

MirrorStore::MirrorStore(std::vector<ObjectStore*> members, OnDrop on_drop)
    : on_drop_(std::move(on_drop)) {
  for (ObjectStore* store : members) members_.push_back({store, std::nullopt});
}

std::optional<Error> MirrorStore::error_of(size_t member) const {
  std::lock_guard lock(mutex_);
  return members_.at(member).error;
}

void MirrorStore::drop(size_t member, const Error& error) {
  {
    std::lock_guard lock(mutex_);
    if (members_.at(member).error) return;
    members_[member].error = error;
  }
  if (on_drop_) on_drop_(member, error);
}

void MirrorStore::for_each(const std::function<void(size_t, ObjectStore&)>& work) {
  size_t working = 0;
  std::vector<std::pair<size_t, Error>> failed;
  for (size_t member = 0; member < members_.size(); ++member) {
    if (error_of(member)) continue;
    try {
      work(member, *members_[member].store);
      ++working;
    } catch (const Error& error) {
      if (not_the_members_fault(error)) throw;
      failed.emplace_back(member, error);
    }
  }
  // When all fail the failure is the caller's, who still has to clear away what it wrote.
  if (working == 0 && !failed.empty()) throw Error(failed.front().second);
  if (working == 0) throw Error(ErrorCode::unavailable, "no store is left to write to");
  for (const auto& [member, error] : failed) drop(member, error);
}

template <typename Ask>
auto MirrorStore::first_answer(Ask&& ask) {
  std::optional<Error> missing, failed;
  for (size_t member = 0; member < members_.size(); ++member) {
    if (error_of(member)) continue;
    try {
      return ask(*members_[member].store);
    } catch (const Error& error) {
      if (not_the_members_fault(error)) throw;
      if (error.code() == ErrorCode::not_found)
        missing = error;
      else
        failed = error, drop(member, error);
    }
  }
  if (missing) throw Error(*missing);
  if (failed) throw Error(*failed);
  throw Error(ErrorCode::unavailable, "no store is left to read from");
}

std::string MirrorStore::location() const {
  std::string all;
  for (const Member& member : members_)
    all += (all.empty() ? "" : " and ") + member.store->location();
  return all;
}

std::unique_ptr<ObjectWriter> MirrorStore::put(const std::string& name, const PutOptions& options) {
  auto writer = std::make_unique<MirrorWriter>(*this);
  for_each(
      [&](size_t member, ObjectStore& store) { writer->add(member, store.put(name, options)); });
  return writer;
}

std::unique_ptr<ObjectReader> MirrorStore::open(const std::string& name) {
  return first_answer([&](ObjectStore& store) { return store.open(name); });
}

ObjectInfo MirrorStore::head(const std::string& name) {
  return first_answer([&](ObjectStore& store) { return store.head(name); });
}

std::vector<ObjectInfo> MirrorStore::list(const std::string& prefix) {
  std::vector<ObjectInfo> all;
  std::set<std::string> names;
  for_each([&](size_t, ObjectStore& store) {
    for (ObjectInfo& object : store.list(prefix))
      if (names.insert(object.name).second) all.push_back(std::move(object));
  });
  std::sort(all.begin(), all.end(),
            [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
  return all;
}

void MirrorStore::remove(const std::string& name) {
  for_each([&](size_t, ObjectStore& store) { store.remove(name); });
}

void MirrorStore::check_writable(uint64_t bytes_expected) {
  for_each([&](size_t, ObjectStore& store) { store.check_writable(bytes_expected); });
}

size_t MirrorStore::reap_unfinished(const LeftoverTest& may_clear) {
  size_t most = 0;
  for_each(
      [&](size_t, ObjectStore& store) { most = std::max(most, store.reap_unfinished(may_clear)); });
  return most;
}

}  // namespace holdfast
