#include <fmt/format.h>

#include "engine/core.h"

namespace holdfast {

Pin::Pin(EngineCore& core, RestorePoint point) : core_(core) {
  std::lock_guard lock(core_.pins_mutex_);
  place_ = core_.pins_.insert(core_.pins_.end(), std::move(point));
}

Pin::~Pin() {
  std::lock_guard lock(core_.pins_mutex_);
  core_.pins_.erase(place_);
}

std::string EngineCore::folder_of(const std::string& line) const {
  std::string folder = settings_.work_folder + "/computes";
  return line.empty() ? folder : folder + "/" + line;
}

ComputeSettings EngineCore::compute_settings(const EndpointRecord& endpoint,
                                             const std::string& line) const {
  ComputeSettings settings;
  settings.folder = folder_of(line);
  settings.listen_address = settings_.listen_address;
  settings.port = endpoint.port;
  settings.certificate_file = certificate_file_;
  settings.key_file = key_file_;
  settings.pg_settings = endpoint.shown.pg_settings;
  settings.compute_units = endpoint.shown.autoscaling_limit_max_cu;
  if (endpoint.shown.type == "read_only")
    settings.pg_settings["default_transaction_read_only"] = "on";
  return settings;
}

// A branch without a state of its own yet is where it began. One that has is as far as its server
// has flushed its WAL, or, when it is stopped, as its WAL goes.
RestorePoint EngineCore::head_of(const BranchRecord& branch) {
  if (branch.source) return storage_->head(kMainLine);
  if (!branch.started) return branch.point;
  EndpointRecord endpoint;
  {
    auto lock = state_->lock();
    if (const EndpointRecord* found = writer_of(state_->tables(), branch.shown.id))
      endpoint = *found;
  }
  auto compute = computes_->make(compute_settings(endpoint, branch.line));
  if (compute->state() == ComputeState::running) {
    try {
      return storage_->at_lsn(branch.line, compute->flush_lsn());
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable) throw;  // it was being stopped: look at its WAL
    }
  }
  return storage_->head(branch.line);
}

// What lies before a branch's beginning is its parent's history, and so its own too.
RestorePoint EngineCore::point_at_lsn(const BranchRecord& branch, Lsn lsn) {
  if (branch.source) return storage_->at_lsn(kMainLine, lsn);
  if (lsn == branch.point.end) return branch.point;
  if (lsn < branch.point.end) return storage_->at_lsn_within(branch.point, lsn);
  if (!branch.started)
    throw Error(ErrorCode::invalid, fmt::format("LSN {} is beyond the branch's end, {}",
                                                format_lsn(lsn), format_lsn(branch.point.end)));
  return storage_->at_lsn(branch.line, lsn);
}

RestorePoint EngineCore::point_at_time(const BranchRecord& branch, UtcTime time) {
  if (branch.source) return storage_->at_time(kMainLine, time);
  if (time > clock_.now())
    throw Error(ErrorCode::invalid, fmt::format("{} is in the future", format_rfc3339(time)));
  UtcTime began = branch.shown.parent_timestamp.value_or(branch.shown.created_at);
  if (time < began) return storage_->at_time_within(branch.point, time);
  if (!branch.started || time < branch.shown.created_at) return branch.point;
  return storage_->at_time(branch.line, time);
}

ResolvedPoint EngineCore::resolve(const BranchRecord& branch, const std::optional<std::string>& lsn,
                                  const std::optional<UtcTime>& time) {
  if (lsn && time) throw Error(ErrorCode::invalid, "give an LSN or a timestamp, not both");
  if (branch.shown.current_state == "init")
    throw Error(ErrorCode::busy, fmt::format("branch {} is still being made", branch.shown.name),
                "try again when its operations have ended");
  if (branch.source && !lsn && !time && storage_->windows().empty())
    throw Error(ErrorCode::unavailable, "there is no snapshot of the source yet",
                "the first one is being taken; try again in a while");
  if (time) return {point_at_time(branch, *time), *time};
  UtcTime now = clock_.now();
  RestorePoint point = lsn ? point_at_lsn(branch, parse_lsn(*lsn)) : head_of(branch);
  UtcTime at = lsn ? point.commit_time.value_or(now) : now;
  return {point, at};
}

std::vector<RestorePoint> EngineCore::needed_points() const {
  std::vector<RestorePoint> needed;
  {
    auto lock = state_->lock();
    const Tables& tables = state_->tables();
    for (const auto& [id, branch] : tables.branches)
      if (!branch.source) needed.push_back(branch.point);
    for (const auto& [id, snapshot] : tables.snapshots) needed.push_back(snapshot.point);
    for (const auto& [id, journal] : tables.journals) {
      needed.push_back(journal.point);
      if (journal.old_end) needed.push_back(*journal.old_end);
    }
  }
  std::lock_guard lock(pins_mutex_);
  needed.insert(needed.end(), pins_.begin(), pins_.end());
  return needed;
}

}  // namespace holdfast
