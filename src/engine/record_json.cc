#include <fmt/format.h>

#include <array>
#include <concepts>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "engine/records.h"

namespace holdfast {
namespace {

using Json = nlohmann::json;

// Each struct's members are named once, in fields(); a RecordWriter and a RecordReader walk over
// them.
class RecordWriter;
class RecordReader;

template <typename Walk>
void fields(Walk& walk, RestorePoint& p) {
  walk("line", p.line);
  walk("timeline", p.timeline);
  walk("record", p.record);
  walk("end", p.end);
  walk("commit_time", p.commit_time);
}

template <typename Walk>
void fields(Walk& walk, SnapshotInfo& s) {
  walk("id", s.id);
  walk("line", s.line);
  walk("timeline", s.timeline);
  walk("start", s.start);
  walk("end", s.end);
  walk("started_at", s.started_at);
  walk("ended_at", s.ended_at);
  walk("bytes", s.bytes);
  walk("server_version", s.server_version);
}

template <typename Walk>
void fields(Walk& walk, BroughtFolder& b) {
  walk("settings", b.settings);
  walk("source_settings", b.source_settings);
  walk("snapshot", b.snapshot);
  walk("copied_bytes", b.copied_bytes);
  walk("cloned", b.cloned);
}

template <typename Walk>
void fields(Walk& walk, ProjectRecord& p) {
  walk("id", p.shown.id);
  walk("platform_id", p.shown.platform_id);
  walk("region_id", p.shown.region_id);
  walk("name", p.shown.name);
  walk("proxy_host", p.shown.proxy_host);
  walk("owner_id", p.shown.owner_id);
  walk("pg_version", p.shown.pg_version);
  walk("history_retention_seconds", p.shown.history_retention_seconds);
  walk("created_at", p.shown.created_at);
  walk("updated_at", p.shown.updated_at);
  walk("next_number", p.next_number);
}

template <typename Walk>
void fields(Walk& walk, RoleRecord& r) {
  walk("name", r.name);
  walk("password", r.password);
  walk("login", r.login);
  walk("created_at", r.created_at);
  walk("updated_at", r.updated_at);
}

template <typename Walk>
void fields(Walk& walk, DatabaseRecord& d) {
  walk("id", d.id);
  walk("name", d.name);
  walk("owner", d.owner);
  walk("created_at", d.created_at);
  walk("updated_at", d.updated_at);
}

template <typename Walk>
void fields(Walk& walk, neon::ScheduleItem& s) {
  walk("frequency", s.frequency);
  walk("hour", s.hour);
  walk("day", s.day);
  walk("month", s.month);
  walk("retention_seconds", s.retention_seconds);
}

template <typename Walk>
void fields(Walk& walk, neon::Branch& b) {
  walk("id", b.id);
  walk("project_id", b.project_id);
  walk("name", b.name);
  walk("parent_id", b.parent_id);
  walk("parent_lsn", b.parent_lsn);
  walk("parent_timestamp", b.parent_timestamp);
  walk("current_state", b.current_state);
  walk("pending_state", b.pending_state);
  walk("state_changed_at", b.state_changed_at);
  walk("created_at", b.created_at);
  walk("updated_at", b.updated_at);
  walk("creation_source", b.creation_source);
  walk("default", b.is_default);
  walk("protected", b.is_protected);
  walk("logical_size", b.logical_size);
  walk("expires_at", b.expires_at);
  walk("last_reset_at", b.last_reset_at);
  walk("init_source", b.init_source);
  walk("restored_from", b.restored_from);
  walk("restored_as", b.restored_as);
  walk("restore_status", b.restore_status);
  walk("compute_time_seconds", b.compute_time_seconds);
  walk("active_time_seconds", b.active_time_seconds);
  walk("written_data_bytes", b.written_data_bytes);
  walk("annotation", b.annotation);
}

template <typename Walk>
void fields(Walk& walk, BranchRecord& b) {
  fields(walk, b.shown);
  walk("source", b.source);
  walk("deleted", b.deleted);
  walk("point", b.point);
  walk("line", b.line);
  walk("started", b.started);
  walk("brought", b.brought);
  walk("roles", b.roles);
  walk("databases", b.databases);
  walk("schedule", b.schedule);
  walk("schedule_ran_at", b.schedule_ran_at);
  walk("kept_folder", b.kept_folder);
}

template <typename Walk>
void fields(Walk& walk, EndpointRecord& e) {
  walk("id", e.shown.id);
  walk("host", e.shown.host);
  walk("project_id", e.shown.project_id);
  walk("branch_id", e.shown.branch_id);
  walk("region_id", e.shown.region_id);
  walk("type", e.shown.type);
  walk("current_state", e.shown.current_state);
  walk("pending_state", e.shown.pending_state);
  walk("name", e.shown.name);
  walk("autoscaling_limit_min_cu", e.shown.autoscaling_limit_min_cu);
  walk("autoscaling_limit_max_cu", e.shown.autoscaling_limit_max_cu);
  walk("disabled", e.shown.disabled);
  walk("created_at", e.shown.created_at);
  walk("updated_at", e.shown.updated_at);
  walk("last_active", e.shown.last_active);
  walk("started_at", e.shown.started_at);
  walk("suspended_at", e.shown.suspended_at);
  walk("suspend_timeout_seconds", e.shown.suspend_timeout_seconds);
  walk("pg_settings", e.shown.pg_settings);
  walk("source", e.source);
  walk("deleted", e.deleted);
  walk("port", e.port);
}

template <typename Walk>
void fields(Walk& walk, OperationRecord& o) {
  walk("id", o.shown.id);
  walk("project_id", o.shown.project_id);
  walk("action", o.shown.action);
  walk("status", o.shown.status);
  walk("branch_id", o.shown.branch_id);
  walk("endpoint_id", o.shown.endpoint_id);
  walk("error", o.shown.error);
  walk("failures_count", o.shown.failures_count);
  walk("created_at", o.shown.created_at);
  walk("updated_at", o.shown.updated_at);
  walk("total_duration_ms", o.shown.total_duration_ms);
  walk("sequence", o.sequence);
  walk("queues", o.queues);
  walk("arguments", o.arguments);
}

template <typename Walk>
void fields(Walk& walk, SnapshotRecord& s) {
  walk("id", s.shown.id);
  walk("name", s.shown.name);
  walk("created_at", s.shown.created_at);
  walk("lsn", s.shown.lsn);
  walk("source_branch_id", s.shown.source_branch_id);
  walk("slug", s.shown.slug);
  walk("timestamp", s.shown.timestamp);
  walk("expires_at", s.shown.expires_at);
  walk("manual", s.shown.manual);
  walk("full_size", s.shown.full_size);
  walk("diff_size", s.shown.diff_size);
  walk("point", s.point);
}

template <typename Walk>
void fields(Walk& walk, SourceLogin& l) {
  walk("name", l.name);
  walk("verifier", l.verifier);
  walk("attributes", l.attributes);
}

template <typename Walk>
void fields(Walk& walk, RestoreJournal& j) {
  walk("operation_id", j.operation_id);
  walk("step", j.step);
  walk("branch_id", j.branch_id);
  walk("preserved_id", j.preserved_id);
  walk("point", j.point);
  walk("data_folder", j.data_folder);
  walk("new_folder", j.new_folder);
  walk("kept_folder", j.kept_folder);
  walk("logins", j.logins);
  walk("old_end", j.old_end);
}

template <typename Walk>
void fields(Walk& walk, GoneRecord& g) {
  walk("id", g.id);
  walk("at", g.at);
}

constexpr std::array<std::string_view, 7> kSteps = {"recover", "stop",   "adopt", "swap",
                                                    "start",   "record", "undo"};

template <typename T>
struct is_optional : std::false_type {};
template <typename T>
struct is_optional<std::optional<T>> : std::true_type {};
template <typename T>
struct is_list : std::false_type {};
template <typename T>
struct is_list<std::vector<T>> : std::true_type {};

template <typename T>
concept Plain = std::same_as<T, bool> || std::integral<T> || std::floating_point<T> ||
    std::same_as<T, std::string> || std::same_as<T, std::map<std::string, std::string>> ||
    std::same_as<T, std::pair<std::string, std::string>>;

class RecordWriter {
 public:
  template <typename T>
  void operator()(const char* name, T& value) {
    if constexpr (is_optional<T>::value) {
      if (value) object_[name] = json_of(*value);
    } else {
      object_[name] = json_of(value);
    }
  }
  const Json& object() const { return object_; }

 private:
  template <typename T>
  static Json json_of(T& value) {
    if constexpr (Plain<T>) {
      return Json(value);
    } else if constexpr (std::same_as<T, UtcTime>) {
      return value.time_since_epoch().count();
    } else if constexpr (std::same_as<T, Lsn>) {
      return format_lsn(value);
    } else if constexpr (std::same_as<T, Secret>) {
      return value.reveal();
    } else if constexpr (std::same_as<T, RestoreStep>) {
      return std::string(kSteps.at(static_cast<size_t>(value)));
    } else if constexpr (is_list<T>::value) {
      Json list = Json::array();
      for (auto& item : value) list.push_back(json_of(item));
      return list;
    } else {
      RecordWriter inner;
      fields(inner, value);
      return inner.object();
    }
  }

  Json object_ = Json::object();
};

class RecordReader {
 public:
  explicit RecordReader(const Json& object) : object_(object) {}

  template <typename T>
  void operator()(const char* name, T& value) {
    auto found = object_.find(name);
    if (found == object_.end()) return;
    if constexpr (is_optional<T>::value) {
      read(*found, value.emplace());
    } else {
      read(*found, value);
    }
  }

 private:
  template <typename T>
  static void read(const Json& json, T& value) {
    if constexpr (Plain<T>) {
      value = json.get<T>();
    } else if constexpr (std::same_as<T, UtcTime>) {
      value = UtcTime(std::chrono::milliseconds(json.get<int64_t>()));
    } else if constexpr (std::same_as<T, Lsn>) {
      value = parse_lsn(json.get<std::string>());
    } else if constexpr (std::same_as<T, Secret>) {
      value = Secret(json.get<std::string>());
    } else if constexpr (std::same_as<T, RestoreStep>) {
      auto step = json.get<std::string>();
      size_t index = 0;
      while (index < kSteps.size() && kSteps[index] != step) ++index;
      if (index == kSteps.size()) throw Error(ErrorCode::corrupt, "unknown step");
      value = static_cast<RestoreStep>(index);
    } else if constexpr (is_list<T>::value) {
      value.clear();
      for (const Json& item : json) read(item, value.emplace_back());
    } else {
      RecordReader inner(json);
      fields(inner, value);
    }
  }

  const Json& object_;
};

template <typename T>
Record read_as(const Json& json) {
  T record;
  RecordReader reader(json);
  fields(reader, record);
  return record;
}

}  // namespace

std::string record_text(const Record& record) {
  return std::visit(
      [](auto copy) {
        RecordWriter writer;
        fields(writer, copy);
        // Names come from people and servers: what is no UTF-8 must not keep a record from disk.
        return writer.object().dump(-1, ' ', false, Json::error_handler_t::replace);
      },
      record);
}

Record read_record(RecordKind kind, const std::string& text) {
  try {
    Json json = Json::parse(text);
    switch (kind) {
      case RecordKind::project:
        return read_as<ProjectRecord>(json);
      case RecordKind::branch:
        return read_as<BranchRecord>(json);
      case RecordKind::endpoint:
        return read_as<EndpointRecord>(json);
      case RecordKind::operation:
        return read_as<OperationRecord>(json);
      case RecordKind::snapshot:
        return read_as<SnapshotRecord>(json);
      case RecordKind::restore_journal:
        return read_as<RestoreJournal>(json);
      case RecordKind::gone:
        return read_as<GoneRecord>(json);
    }
  } catch (const std::exception&) {
    // What the parser says may quote a password.
  }
  throw Error(ErrorCode::corrupt,
              fmt::format("a record of kind {} cannot be read", kind_name(kind)));
}

}  // namespace holdfast
