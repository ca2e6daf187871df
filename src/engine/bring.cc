#include "engine/bring.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "engine/folder_copy.h"

namespace holdfast {
namespace {

constexpr char kScriptName[] = "holdfast-restore-wal";
constexpr char kUnfinished[] = "/unfinished";  // in a folder of tablespaces, until all is done

// Folders of tablespaces that an earlier call for the same folder did not finish.
void remove_leftovers(const std::string& folder) {
  remove_tree(folder + ".partial");
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(parent_folder(folder)))
    if (entry.path().filename().string().starts_with("tablespaces"))
      found.push_back(entry.path().string());
  for (const std::string& each : found) {
    std::string mark = each + kUnfinished;
    if (file_exists(mark) && read_file(mark, 1 << 16) == folder) remove_tree(each);
  }
}

std::string free_tablespace_folder(const std::string& folder) {
  std::string path = parent_folder(folder) + "/tablespaces";
  while (file_exists(path))
    path = fmt::format("{}/tablespaces-{}", parent_folder(folder), random_hex(4));
  return path;
}

// Copies that pg_basebackup's links led to, and links to them in the new data folder.
void bring_tablespaces(const BringOrder& order, const SnapshotCatalog& catalog,
                       const std::string& target, const std::string& data, BroughtFolder& brought,
                       const Run& run) {
  for (const SnapshotTablespace& each : order.snapshot.tablespaces) {
    std::string to = fmt::format("{}/{}", target, each.oid);
    FolderCopy copy = copy_folder(
        catalog.tablespace_folder(order.snapshot.info.id, each.oid), to,
        [](const std::string&) { return false; }, order.copy_jobs, run);
    brought.copied_bytes += copy.bytes;
    brought.cloned = brought.cloned && copy.cloned;
    std::string link = fmt::format("{}/pg_tblspc/{}", data, each.oid);
    if (::symlink(to.c_str(), link.c_str()) != 0) throw system_error("make link " + link, errno);
  }
}

// A setting as it was on the source, or `otherwise`.
int setting_of(const StoredSnapshot& snapshot, const std::string& name, int otherwise) {
  auto found = snapshot.settings.find(name);
  if (found == snapshot.settings.end()) return otherwise;
  const std::string& text = found->second;
  int value = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

RestoreScript script_for(const BringOrder& order) {
  RestoreScript script;
  for (const PathPart& each : order.path) {
    auto known = std::find_if(script.segments.begin(), script.segments.end(),
                              [&](const auto& s) { return s.timeline == each.part.timeline; });
    // Where a line goes on with its parent's timeline, its own folder comes first.
    if (known == script.segments.end())
      script.segments.push_back({each.part.timeline, each.folders});
    else
      known->folders = each.folders;
  }
  script.histories = order.histories;
  return script;
}

// With hot_standby off, replay itself demands room for prepared transactions and nothing else;
// those take their locks again, so the table of locks has to be the source's, too.
std::vector<std::pair<std::string, std::string>> recovery_settings(const BringOrder& order,
                                                                   const std::string& script_path) {
  std::vector<std::pair<std::string, std::string>> settings = {
      {"restore_command", restore_command(script_path)},
      {"recovery_target_lsn", format_lsn(order.point.record)},
      {"recovery_target_inclusive", "on"},
      {"recovery_target_timeline", std::to_string(order.point.timeline)},
      {"recovery_target_action", "promote"},
      {"hot_standby", "off"}};
  if (order.snapshot.info.server_version >= 140000)
    settings.emplace_back("recovery_init_sync_method", "syncfs");
  auto demanded = [&](const char* name, int in_wal, int otherwise) {
    return std::max(in_wal, setting_of(order.snapshot, name, otherwise));
  };
  int prepared = demanded("max_prepared_transactions", order.needs.max_prepared_transactions, 0);
  if (prepared > 0) {
    settings.emplace_back("max_prepared_transactions", std::to_string(prepared));
    settings.emplace_back(
        "max_connections",
        std::to_string(demanded("max_connections", order.needs.max_connections, 100)));
  }
  settings.emplace_back("max_locks_per_transaction",
                        std::to_string(demanded("max_locks_per_transaction",
                                                order.needs.max_locks_per_transaction, 64)));
  return settings;
}

BroughtFolder bring_folder(const BringOrder& order, const SnapshotCatalog& catalog,
                           const std::string& folder, const Run& run) {
  if (file_exists(folder))
    throw Error(ErrorCode::exists, fmt::format("{} is there already", folder),
                "remove it, or choose another folder");
  make_folders(parent_folder(folder));
  remove_leftovers(folder);
  run.progress.phase("copying the snapshot");
  const SnapshotInfo& info = order.snapshot.info;
  std::string partial = folder + ".partial";
  BroughtFolder brought;
  brought.cloned = true;
  brought.snapshot = info;
  brought.source_settings = order.snapshot.settings;
  // The manifest is the snapshot's: it says nothing of a folder that a server has changed.
  FolderCopy copy = copy_folder(
      catalog.data_folder(info.id), partial,
      [](const std::string& path) { return path == "backup_manifest"; }, order.copy_jobs, run);
  brought.copied_bytes = copy.bytes;
  brought.cloned = copy.cloned;
  std::string tablespaces;
  if (!order.snapshot.tablespaces.empty()) {
    tablespaces = free_tablespace_folder(folder);
    make_folders(tablespaces);
    write_file_atomic(tablespaces + kUnfinished, folder);
    bring_tablespaces(order, catalog, tablespaces, partial, brought, run);
  }
  make_folders(partial + "/pg_wal/archive_status");
  write_file_atomic(partial + "/" + kScriptName, restore_script(script_for(order)), 0700);
  write_file_atomic(partial + "/recovery.signal", "");
  brought.settings = recovery_settings(order, folder + "/" + kScriptName);
  rename_folder(partial, folder);
  if (!tablespaces.empty()) std::filesystem::remove(tablespaces + kUnfinished);
  return brought;
}

}  // namespace holdfast
