#include "engine/snapshot_catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "engine/ids.h"

namespace holdfast {
namespace {

constexpr std::string_view kPartial = ".partial", kRemoving = ".removing";

}  // namespace

SnapshotCatalog::SnapshotCatalog(const std::string& storage_folder, Log& log)
    : folder_(storage_folder + "/snapshots"), log_(log) {
  make_folders(folder_);
  std::error_code failed;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, failed))
    names.push_back(entry.path().filename().string());
  if (failed) throw system_error("read folder " + folder_, failed.value());
  for (const std::string& name : names) {
    if (name.ends_with(kPartial) || name.ends_with(kRemoving)) {
      log_.info(fmt::format("removing {}/{}, which was left unfinished", folder_, name));
      remove_tree(folder(name));
      continue;
    }
    try {
      StoredSnapshot record =
          parse_snapshot_json(read_file(folder(name) + "/snapshot.json", kStorageJsonBytesMax));
      if (record.info.id != name) throw Error(ErrorCode::corrupt, "it is of another snapshot");
      records_[name] = std::move(record);
    } catch (const Error& error) {
      log_.error(fmt::format("snapshot {} is of no use: {}", name, error.what()));
    }
  }
}

std::vector<SnapshotInfo> SnapshotCatalog::list() const {
  std::lock_guard lock(mutex_);
  std::vector<SnapshotInfo> found;
  for (const auto& [id, record] : records_) found.push_back(record.info);
  std::sort(found.begin(), found.end(), [](const SnapshotInfo& a, const SnapshotInfo& b) {
    return std::tuple(a.ended_at, a.end) < std::tuple(b.ended_at, b.end);
  });
  return found;
}

StoredSnapshot SnapshotCatalog::get(const std::string& id) const {
  std::lock_guard lock(mutex_);
  auto found = records_.find(id);
  if (found == records_.end())
    throw Error(ErrorCode::not_found, fmt::format("there is no snapshot {}", id));
  return found->second;
}

std::string SnapshotCatalog::tablespace_folder(const std::string& id, uint32_t oid) const {
  return fmt::format("{}/tablespaces/{}", folder(id), oid);
}

std::string SnapshotCatalog::new_id() const {
  std::lock_guard lock(mutex_);
  return make_id("snap", [&](const std::string& id) { return records_.contains(id); });
}

void SnapshotCatalog::add(const StoredSnapshot& record) {
  const std::string& id = record.info.id;
  write_file_atomic(partial_folder(id) + "/snapshot.json", snapshot_json(record));
  rename_folder(partial_folder(id), folder(id));
  std::lock_guard lock(mutex_);
  records_[id] = record;
}

void SnapshotCatalog::discard(const std::string& id) {
  remove_tree(partial_folder(id));
}

void SnapshotCatalog::remove(const std::string& id) {
  {
    std::lock_guard lock(mutex_);
    auto found = records_.find(id);
    if (found == records_.end())
      throw Error(ErrorCode::not_found, fmt::format("there is no snapshot {}", id));
    if (leases_.contains(id))
      throw Error(ErrorCode::busy, fmt::format("snapshot {} is being copied", id),
                  "try again when the branch that is made from it runs");
    // Made durable below: nobody else has to wait for the disk.
    if (::rename(folder(id).c_str(), (folder(id) + std::string(kRemoving)).c_str()) != 0)
      throw system_error("rename " + folder(id), errno);
    records_.erase(found);
  }
  fsync_folder(folder_);
  remove_tree(folder(id) + std::string(kRemoving));
}

SnapshotCatalog::Lease::Lease(SnapshotCatalog& catalog, const std::string& id)
    : catalog_(catalog), id_(id) {
  std::lock_guard lock(catalog_.mutex_);
  if (!catalog_.records_.contains(id_))
    throw Error(ErrorCode::not_found, fmt::format("there is no snapshot {}", id_));
  ++catalog_.leases_[id_];
}

SnapshotCatalog::Lease::~Lease() {
  std::lock_guard lock(catalog_.mutex_);
  auto found = catalog_.leases_.find(id_);
  if (--found->second == 0) catalog_.leases_.erase(found);
}

}  // namespace holdfast
