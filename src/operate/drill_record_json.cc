// The drill record as JSON (docs/format/drill.md).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "operate/drill_record.h"
#include "seal/document.h"
#include "seal/json_fields.h"

namespace holdfast {
namespace {

constexpr const char* kDrillFormat = "holdfast-drill";
constexpr uint64_t kDrillVersion = 1;
constexpr std::string_view kDrillSealKey = "drill_sha256";
constexpr std::string_view kDrillIdBeginning = "drill-";
constexpr double kDrillSecondsMax = 1e9;  // 31 years: more is no measurement
constexpr uint64_t kDrillTargetMax = 1'000'000'000;

constexpr std::array<std::string_view, 2> kDrillKinds = {"dump", "branch"};
constexpr std::array<std::string_view, 3> kDrillVerdicts = {"passed", "failed", "inconclusive"};

template <typename Value, size_t N>
Value drill_word(const JsonFields& fields, const char* key,
                 const std::array<std::string_view, N>& words) {
  std::string said = fields.text(key);
  auto found = std::find(words.begin(), words.end(), said);
  if (found == words.end())
    throw Error(ErrorCode::corrupt,
                fmt::format("field {}: '{}' is none of its words", key, printable(said, 60)));
  return static_cast<Value>(found - words.begin());
}

double drill_seconds(const JsonFields& fields, const char* key) {
  double seconds = fields.real(key);
  if (!(seconds >= 0 && seconds <= kDrillSecondsMax))
    throw Error(ErrorCode::corrupt, fmt::format("field {} is no number of seconds", key));
  return seconds;
}

std::optional<int64_t> drill_target(const JsonFields& fields, const char* key) {
  if (fields.at(key).is_null()) return std::nullopt;
  return static_cast<int64_t>(fields.number(key, kDrillTargetMax));
}

std::vector<std::string> drill_texts(const JsonFields& fields, const char* key) {
  std::vector<std::string> texts;
  for (const Json& entry : fields.list(key)) texts.push_back(text_of(entry, key));
  return texts;
}

// One member of the document, on a line of its own.
class DrillBody {
 public:
  void text(const char* key, const std::string& value) { raw(key, json_text(value)); }
  void word(const char* key, std::string_view value) { raw(key, fmt::format("\"{}\"", value)); }
  void time(const char* key, UtcTime at) { word(key, format_rfc3339(at)); }
  void seconds(const char* key, double value) { raw(key, fmt::format("{:.3f}", bounded(value))); }
  void number(const char* key, uint64_t value) { raw(key, std::to_string(value)); }
  void raw(const char* key, const std::string& value) {
    body_ += fmt::format("{}\n  \"{}\": {}", body_.empty() ? "{" : ",", key, value);
  }
  void target(const char* key, const std::optional<int64_t>& value) {
    raw(key, value ? std::to_string(std::clamp<int64_t>(*value, 0, kDrillTargetMax)) : "null");
  }
  template <typename Entry, typename Write>
  void list(const char* key, const std::vector<Entry>& entries, Write write) {
    std::string all;
    for (const Entry& entry : entries) all += (all.empty() ? "\n    " : ",\n    ") + write(entry);
    raw(key, all.empty() ? "[]" : "[" + all + "\n  ]");
  }
  std::string take() { return std::move(body_); }

  static double bounded(double seconds) { return std::clamp(seconds, 0.0, kDrillSecondsMax); }

 private:
  std::string body_;
};

void write_drill_findings(DrillBody& body, const DrillRecord& record) {
  body.list("phases", record.phases, [](const DrillPhase& phase) {
    return fmt::format("{{\"name\": {}, \"seconds\": {:.3f}}}", json_text(phase.name),
                       DrillBody::bounded(phase.seconds));
  });
  body.list("tables", record.tables, [](const DrillTable& table) {
    return fmt::format(
        "{{\"name\": {}, \"rows\": {}, \"expected\": {}, \"same\": {}, \"critical\": {}}}",
        json_text(table.name), table.rows,
        table.expected ? std::to_string(*table.expected) : std::string("null"), table.same,
        table.critical);
  });
  body.list("queries", record.queries, [](const DrillQuery& query) {
    return fmt::format("{{\"name\": {}, \"passed\": {}, \"problem\": {}, \"seconds\": {:.3f}}}",
                       json_text(query.name), query.passed, json_text(query.problem),
                       DrillBody::bounded(query.seconds));
  });
  body.text("amcheck", record.amcheck);
  body.list("problems", record.problems, json_text);
  body.list("notes", record.notes, json_text);
}

void read_drill_findings(const JsonFields& fields, DrillRecord& record) {
  for (const Json& entry : fields.list("phases")) {
    JsonFields phase(entry, "phases");
    record.phases.push_back({phase.text("name"), drill_seconds(phase, "seconds")});
  }
  for (const Json& entry : fields.list("tables")) {
    JsonFields table(entry, "tables");
    DrillTable read{table.text("name"), table.number("rows"), std::nullopt, table.boolean("same"),
                    table.boolean("critical")};
    if (!table.at("expected").is_null()) read.expected = table.number("expected");
    record.tables.push_back(std::move(read));
  }
  for (const Json& entry : fields.list("queries")) {
    JsonFields query(entry, "queries");
    record.queries.push_back({query.text("name"), query.boolean("passed"), query.text("problem"),
                              drill_seconds(query, "seconds")});
  }
  record.amcheck = fields.text("amcheck");
  record.problems = drill_texts(fields, "problems");
  record.notes = drill_texts(fields, "notes");
}

// The name of an object is made of it.
void check_drill_id(const std::string& id) {
  try {
    if (id.starts_with(kDrillIdBeginning) &&
        drill_id(parse_name_time(id.substr(kDrillIdBeginning.size()))) == id)
      return;
  } catch (const Error&) {
    // Said below.
  }
  throw Error(ErrorCode::corrupt, fmt::format("field id: '{}' is no drill's", printable(id, 60)));
}

// What passed has nothing against it.
void check_drill_agreement(const DrillRecord& record) {
  if (record.verdict != DrillVerdict::passed) return;
  bool asked_in_vain = std::any_of(record.queries.begin(), record.queries.end(),
                                   [](const DrillQuery& query) { return !query.passed; });
  if (!record.problems.empty() || asked_in_vain)
    throw Error(ErrorCode::corrupt, "field verdict: it passed, and yet names what is wrong");
}

}  // namespace

std::string drill_id(UtcTime at) {
  return std::string(kDrillIdBeginning) + format_name_time(at);
}

std::string_view drill_verdict_name(DrillVerdict verdict) {
  return kDrillVerdicts[static_cast<size_t>(verdict)];
}

std::string_view drill_kind_name(DrillKind kind) {
  return kDrillKinds[static_cast<size_t>(kind)];
}

std::string write_drill_record(const DrillRecord& record) {
  DrillBody body;
  body.word("format", kDrillFormat);
  body.number("version", kDrillVersion);
  body.text("id", record.id);
  body.word("kind", drill_kind_name(record.kind));
  body.word("verdict", drill_verdict_name(record.verdict));
  body.text("backup", record.backup);
  body.text("database", record.database);
  body.text("source", record.source);
  body.text("store", record.store);
  body.text("chosen", record.chosen);
  body.text("archive_sha256", record.archive_sha256);
  body.time("backup_at", record.backup_at);
  body.time("began_at", record.began_at);
  body.time("ended_at", record.ended_at);
  body.seconds("rto_seconds", record.rto_seconds);
  body.target("rto_target_seconds", record.rto_target_seconds);
  if (record.rpo_seconds)
    body.seconds("rpo_seconds", *record.rpo_seconds);
  else
    body.raw("rpo_seconds", "null");
  body.target("rpo_target_seconds", record.rpo_target_seconds);
  body.number("rows", record.rows);
  body.number("bytes", record.bytes);
  write_drill_findings(body, record);
  body.text("server_version", record.server_version);
  body.text("holdfast_version", record.holdfast_version);
  body.text("host", record.host);
  body.text("actor", record.actor);
  if (record.destroyed_at)
    body.time("destroyed_at", *record.destroyed_at);
  else
    body.raw("destroyed_at", "null");
  return seal_document(body.take(), kDrillSealKey);
}

DrillRecord read_drill_record(const std::string& text) {
  Json document = parse_sealed(text, kDrillSealKey);
  JsonFields fields(document, "");
  check_format(fields, kDrillFormat, kDrillVersion);
  DrillRecord record;
  record.id = fields.text("id");
  check_drill_id(record.id);
  record.kind = drill_word<DrillKind>(fields, "kind", kDrillKinds);
  record.verdict = drill_word<DrillVerdict>(fields, "verdict", kDrillVerdicts);
  record.backup = fields.text("backup");
  record.database = fields.text("database");
  record.source = fields.text("source");
  record.store = fields.text("store");
  record.chosen = fields.text("chosen");
  record.archive_sha256 = fields.text("archive_sha256");
  record.backup_at = fields.time("backup_at");
  record.began_at = fields.time("began_at");
  record.ended_at = fields.time("ended_at");
  record.rto_seconds = drill_seconds(fields, "rto_seconds");
  record.rto_target_seconds = drill_target(fields, "rto_target_seconds");
  if (!fields.at("rpo_seconds").is_null())
    record.rpo_seconds = drill_seconds(fields, "rpo_seconds");
  record.rpo_target_seconds = drill_target(fields, "rpo_target_seconds");
  record.rows = fields.number("rows");
  record.bytes = fields.number("bytes");
  read_drill_findings(fields, record);
  record.server_version = fields.text("server_version");
  record.holdfast_version = fields.text("holdfast_version");
  record.host = fields.text("host");
  record.actor = fields.text("actor");
  if (!fields.at("destroyed_at").is_null()) record.destroyed_at = fields.time("destroyed_at");
  check_drill_agreement(record);
  return record;
}

}  // namespace holdfast
