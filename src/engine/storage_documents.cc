#include "engine/storage_documents.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace holdfast {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr char kStorageFormat[] = "holdfast-storage";
constexpr char kSnapshotFormat[] = "holdfast-snapshot";
constexpr int kVersion = 1;

Error corrupt(const std::string& what) {
  return Error(ErrorCode::corrupt, what);
}

// Reads the fields of one object; `where` leads their names in messages.
class DocumentReader {
 public:
  DocumentReader(const OrderedJson& object, std::string where)
      : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) throw corrupt(where_ + " is not an object");
  }

  bool has(const char* key) const { return object_.contains(key) && !object_.at(key).is_null(); }
  const OrderedJson& at(const char* key) const {
    auto found = object_.find(key);
    if (found == object_.end()) throw corrupt(name(key) + " is missing");
    return *found;
  }
  std::string text(const char* key) const {
    if (!at(key).is_string()) throw corrupt(name(key) + " is not text");
    return at(key).get<std::string>();
  }
  uint64_t number(const char* key, uint64_t max) const {
    const OrderedJson& value = at(key);
    if (!value.is_number_unsigned() || value.get<uint64_t>() > max)
      throw corrupt(fmt::format("{} is not a number from 0 to {}", name(key), max));
    return value.get<uint64_t>();
  }
  template <typename Value>
  Value number(const char* key) const {
    return static_cast<Value>(number(key, std::numeric_limits<Value>::max()));
  }
  bool boolean(const char* key) const {
    if (!at(key).is_boolean()) throw corrupt(name(key) + " is neither true nor false");
    return at(key).get<bool>();
  }
  template <typename Read>
  auto checked(const char* key, Read&& read) const {
    try {
      return read();
    } catch (const Error& error) {
      throw corrupt(fmt::format("{}: {}", name(key), error.what()));
    }
  }
  UtcTime time(const char* key) const {
    return checked(key, [&] { return parse_rfc3339(text(key)); });
  }
  std::optional<UtcTime> optional_time(const char* key) const {
    return has(key) ? std::optional(time(key)) : std::nullopt;
  }
  Lsn lsn(const char* key) const {
    return checked(key, [&] { return parse_lsn(text(key)); });
  }
  // 64 bits do not fit into every reader's numbers, so it stands there as text.
  uint64_t wide(const char* key) const {
    std::string digits = text(key);
    uint64_t value = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || digits.empty())
      throw corrupt(name(key) + " is not a number");
    return value;
  }
  template <typename Read>
  void each(const char* key, Read&& read) const {
    if (!at(key).is_array()) throw corrupt(name(key) + " is not a list");
    for (const OrderedJson& entry : at(key)) read(DocumentReader(entry, name(key)));
  }
  std::map<std::string, std::string> texts(const char* key) const {
    std::map<std::string, std::string> found;
    if (!at(key).is_object()) throw corrupt(name(key) + " is not an object");
    for (const auto& [entry, value] : at(key).items()) {
      if (!value.is_string()) throw corrupt(name(key) + " holds something that is not text");
      found[entry] = value.get<std::string>();
    }
    return found;
  }

 private:
  std::string name(const char* key) const {
    return where_.empty() ? fmt::format("field {}", key) : fmt::format("{}: field {}", where_, key);
  }
  const OrderedJson& object_;
  std::string where_;
};

OrderedJson parse_document(std::string_view text, const char* format) {
  OrderedJson document = OrderedJson::parse(text, nullptr, false);
  if (document.is_discarded()) throw corrupt("it is not JSON");
  DocumentReader fields(document, "");
  if (fields.text("format") != format) throw corrupt(fmt::format("it is not a {}", format));
  uint64_t version = fields.number("version", std::numeric_limits<int32_t>::max());
  if (version != kVersion)
    throw Error(ErrorCode::unsupported,
                fmt::format("it is a {} of version {}, and this program knows version {}", format,
                            version, kVersion),
                "use the holdfast that made it, or a later one");
  return document;
}

OrderedJson time_or_null(const std::optional<UtcTime>& time) {
  return time ? OrderedJson(format_rfc3339(*time)) : OrderedJson(nullptr);
}

// Texts come from the source and need not be UTF-8.
std::string dumped(const OrderedJson& document) {
  return document.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace

std::string storage_json(const StorageRecord& record) {
  OrderedJson gaps = OrderedJson::array();
  for (const StorageGap& gap : record.gaps)
    gaps.push_back({{"timeline", gap.timeline},
                    {"from", format_lsn(gap.from)},
                    {"to", format_lsn(gap.to)},
                    {"noticed_at", format_rfc3339(gap.noticed_at)},
                    {"caught_up_at", time_or_null(gap.caught_up_at)}});
  return dumped({{"format", kStorageFormat},
                 {"version", kVersion},
                 {"id", record.id},
                 {"system_identifier", std::to_string(record.system_identifier)},
                 {"segment_bytes", record.segment_bytes},
                 {"server_version", record.server_version},
                 {"timeline", record.timeline},
                 {"receive_from", format_lsn(record.receive_from)},
                 {"caught_up_at", time_or_null(record.caught_up_at)},
                 {"gaps", gaps}});
}

StorageRecord parse_storage_json(std::string_view text) {
  OrderedJson document = parse_document(text, kStorageFormat);
  DocumentReader fields(document, "");
  StorageRecord record;
  record.id = fields.text("id");
  if (record.id.size() != 8 || record.id.find_first_not_of("0123456789abcdef") != std::string::npos)
    throw corrupt("field id is not of 8 hexadecimal digits");
  record.system_identifier = fields.wide("system_identifier");
  record.segment_bytes = fields.number<uint32_t>("segment_bytes");
  record.server_version = fields.number<int>("server_version");
  record.timeline = fields.number<Timeline>("timeline");
  record.receive_from = fields.lsn("receive_from");
  record.caught_up_at = fields.optional_time("caught_up_at");
  fields.each("gaps", [&](const DocumentReader& gap) {
    record.gaps.push_back({gap.number<Timeline>("timeline"), gap.lsn("from"), gap.lsn("to"),
                           gap.time("noticed_at"), gap.optional_time("caught_up_at")});
  });
  return record;
}

std::string snapshot_json(const StoredSnapshot& record) {
  OrderedJson tablespaces = OrderedJson::array(), extensions = OrderedJson::array(),
              collations = OrderedJson::array();
  for (const SnapshotTablespace& each : record.tablespaces)
    tablespaces.push_back({{"oid", each.oid}, {"path", each.path}});
  for (const SnapshotExtension& each : record.extensions)
    extensions.push_back(
        {{"database", each.database}, {"name", each.name}, {"version", each.version}});
  for (const SnapshotCollation& each : record.collations)
    collations.push_back({{"provider", each.provider}, {"version", each.version}});
  const SnapshotInfo& info = record.info;
  return dumped({{"format", kSnapshotFormat},
                 {"version", kVersion},
                 {"id", info.id},
                 {"line", info.line},
                 {"timeline", info.timeline},
                 {"start", format_lsn(info.start)},
                 {"end", format_lsn(info.end)},
                 {"started_at", format_rfc3339(info.started_at)},
                 {"ended_at", format_rfc3339(info.ended_at)},
                 {"bytes", info.bytes},
                 {"server_version", info.server_version},
                 {"system_identifier", std::to_string(record.system_identifier)},
                 {"server", record.server},
                 {"made_by", record.made_by},
                 {"verified", record.verified},
                 {"tablespaces", tablespaces},
                 {"extensions", extensions},
                 {"collations", collations},
                 {"settings",
                  record.settings.empty() ? OrderedJson::object() : OrderedJson(record.settings)}});
}

StoredSnapshot parse_snapshot_json(std::string_view text) {
  OrderedJson document = parse_document(text, kSnapshotFormat);
  DocumentReader fields(document, "");
  StoredSnapshot record;
  SnapshotInfo& info = record.info;
  info.id = fields.text("id");
  info.line = fields.text("line");
  info.timeline = fields.number<Timeline>("timeline");
  info.start = fields.lsn("start");
  info.end = fields.lsn("end");
  info.started_at = fields.time("started_at");
  info.ended_at = fields.time("ended_at");
  info.bytes = fields.number<uint64_t>("bytes");
  info.server_version = fields.number<int>("server_version");
  record.system_identifier = fields.wide("system_identifier");
  record.server = fields.text("server");
  record.made_by = fields.text("made_by");
  record.verified = fields.boolean("verified");
  fields.each("tablespaces", [&](const DocumentReader& each) {
    record.tablespaces.push_back({each.number<uint32_t>("oid"), each.text("path")});
  });
  fields.each("extensions", [&](const DocumentReader& each) {
    record.extensions.push_back({each.text("database"), each.text("name"), each.text("version")});
  });
  fields.each("collations", [&](const DocumentReader& each) {
    record.collations.push_back({each.text("provider"), each.text("version")});
  });
  record.settings = fields.texts("settings");
  if (info.timeline == 0 || info.end < info.start)
    throw corrupt("its timeline or LSNs cannot be right");
  return record;
}

// In the text of a JSON string a quote stands behind a backslash and a line break cannot stand at
// all, so a line that begins with the key is the key.
std::vector<BackupRange> manifest_wal_ranges(std::string_view tail) {
  constexpr std::string_view kKey = "\n\"WAL-Ranges\":";
  size_t at = tail.rfind(kKey);
  size_t end = at == std::string_view::npos ? at : tail.find(']', at);
  if (end == std::string_view::npos) throw corrupt("the backup manifest names no WAL ranges");
  std::string_view list = tail.substr(at + kKey.size(), end + 1 - at - kKey.size());
  OrderedJson document = OrderedJson::parse(list, nullptr, false);
  if (document.is_discarded() || !document.is_array() || document.empty())
    throw corrupt("the backup manifest's WAL ranges are not JSON");
  std::vector<BackupRange> found;
  for (const OrderedJson& entry : document) {
    DocumentReader fields(entry, "WAL-Ranges");
    found.push_back(
        {fields.number<Timeline>("Timeline"), fields.lsn("Start-LSN"), fields.lsn("End-LSN")});
    if (found.back().timeline == 0 || found.back().end < found.back().start)
      throw corrupt("the backup manifest's WAL ranges cannot be right");
  }
  return found;
}

}  // namespace holdfast
