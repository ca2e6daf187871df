// Drill records in a store: drills/<id>.json, and drills/<id>.md for people.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "operate/drill_record.h"

namespace holdfast {
namespace {

constexpr std::string_view kDrillJsonSuffix = ".json";

std::string drill_object(const std::string& id, std::string_view suffix) {
  return std::string(kDrillPrefix) + id + std::string(suffix);
}

// Nothing if it has been removed meanwhile.
std::optional<DrillRecord> read_drill_object(ObjectStore& store, const std::string& name) {
  try {
    DrillRecord record = read_drill_record(read_object(store, name, kDrillRecordBytesMax));
    if (drill_object(record.id, kDrillJsonSuffix) != name)
      throw Error(ErrorCode::corrupt, "it is of another drill than its name says");
    return record;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return std::nullopt;
    throw;
  }
}

}  // namespace

DrillRecords read_drill_records(ObjectStore& store, const std::string& database) {
  DrillRecords found;
  for (const ObjectInfo& object : store.list(std::string(kDrillPrefix))) {
    if (!object.name.ends_with(kDrillJsonSuffix)) continue;
    try {
      std::optional<DrillRecord> record = read_drill_object(store, object.name);
      if (record && (database.empty() || record->database == database))
        found.records.push_back(std::move(*record));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported) throw;
      found.damaged.push_back(fmt::format("{}: {}", object.name, error.what()));
    }
  }
  std::sort(found.records.begin(), found.records.end(),
            [](const DrillRecord& a, const DrillRecord& b) {
              return std::pair(a.began_at, a.id) > std::pair(b.began_at, b.id);
            });
  return found;
}

void put_drill_record(ObjectStore& store, const DrillRecord& record,
                      std::optional<UtcTime> keep_until) {
  PutOptions options;
  options.keep_until = keep_until;
  write_object(store, drill_object(record.id, kDrillJsonSuffix),
               as_bytes(write_drill_record(record)), options);
  // From the record it can be made again.
  write_object(store, drill_object(record.id, ".md"), as_bytes(drill_record_markdown(record)),
               options);
}

bool has_drill_record(ObjectStore& store, const std::string& id) {
  return !store.list(drill_object(id, kDrillJsonSuffix)).empty();
}

}  // namespace holdfast
