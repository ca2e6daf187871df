// Client: snapshots and their schedule.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "neon/client.h"

namespace holdfast::neon {
namespace {

std::string named(const std::string& step, const std::string& name) {
  return fmt::format("{} {}", step, printable(name, 80));
}

}  // namespace

std::vector<Snapshot> Client::snapshots() {
  return get(in_project("/snapshots"), "list snapshots", read_snapshot_list);
}

Changed Client::create_snapshot(const std::string& branch_id,
                                const SnapshotCreateRequest& request) {
  std::string path, separator = "?";
  auto add = [&](const char* name, const std::optional<std::string>& value) {
    if (!value) return;
    path += separator + name + "=" + url_encoded(*value);
    separator = "&";
  };
  auto text = [](const std::optional<UtcTime>& time) {
    return time ? std::optional<std::string>(format_rfc3339(*time)) : std::nullopt;
  };
  add("name", request.name);
  add("slug", request.slug);
  add("lsn", request.lsn);
  add("timestamp", text(request.timestamp));
  add("expires_at", text(request.expires_at));
  std::vector<Snapshot> before = snapshots();
  ApiRequest post{"POST",
                  in_branch(branch_id, "/snapshot" + path),
                  {},
                  named("take a snapshot of branch", branch_id)};
  return change_once(
      post, {[&]() -> std::optional<Changed> {
        for (const Snapshot& snapshot : snapshots()) {
          bool known = std::any_of(before.begin(), before.end(),
                                   [&](const Snapshot& old) { return old.id == snapshot.id; });
          bool ours = snapshot.source_branch_id.value_or(branch_id) == branch_id &&
                      snapshot.name == request.name.value_or(snapshot.name) && snapshot.manual;
          if (known || !ours) continue;
          Changed changed;
          changed.snapshot = snapshot;
          changed.operations = operations_in_flight(branch_id);
          return changed;
        }
        return std::nullopt;
      }});
}

Snapshot Client::update_snapshot(const std::string& id, const SnapshotUpdateRequest& request) {
  std::string what = named("change snapshot", id);
  return read_as(caller_.call({"PATCH", in_project("/snapshots/" + url_encoded(id)),
                               write_snapshot_update(request), what}),
                 what, read_snapshot);
}

void Client::delete_snapshot(const std::string& id) {
  remove(in_project("/snapshots/" + url_encoded(id)), named("delete snapshot", id));
}

Changed Client::restore_snapshot(const std::string& id, const SnapshotRestoreRequest& request) {
  std::set<std::string> before;
  for (const Branch& branch : branches()) before.insert(branch.id);
  ApiRequest post{"POST", in_project("/snapshots/" + url_encoded(id) + "/restore"),
                  write_snapshot_restore(request), named("restore snapshot", id)};
  return change_once(post, {[&]() -> std::optional<Changed> {
                       for (const Branch& branch : branches())
                         if (before.count(branch.id) == 0 && branch.restored_from == id)
                           return as_changed(branch);
                       return std::nullopt;
                     }});
}

Changed Client::finalize_restore(const std::string& branch_id,
                                 const std::optional<std::string>& name) {
  // `{"name":…}` is what a restore of a snapshot takes as well.
  SnapshotRestoreRequest only_name;
  only_name.name = name;
  ApiRequest post{"POST", in_branch(branch_id, "/finalize_restore"),
                  name ? write_snapshot_restore(only_name) : std::string(),
                  named("finalize the restore to branch", branch_id)};
  return change_once(post, {[&]() -> std::optional<Changed> {
                       Branch now = branch(branch_id);
                       if (now.restore_status.value_or("") != "finalized") return std::nullopt;
                       return as_changed(now);
                     }});
}

std::vector<ScheduleItem> Client::schedule(const std::string& branch_id) {
  return get(in_branch(branch_id, "/backup_schedule"), named("schedule of branch", branch_id),
             read_schedule);
}

void Client::set_schedule(const std::string& branch_id, const std::vector<ScheduleItem>& items) {
  caller_.call({"PUT", in_branch(branch_id, "/backup_schedule"), write_schedule(items),
                named("set the schedule of branch", branch_id)});
}

}  // namespace holdfast::neon
