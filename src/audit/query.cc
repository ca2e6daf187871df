#include "audit/query.h"

#include <fmt/format.h>

#include <limits>

#include "audit/canonical.h"
#include "audit/log_folder.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

// Times are those of a clock that somebody may have set back: a page that looks for what is later
// than some time goes on for a day beyond it.
constexpr std::chrono::hours kClockSlack{24};
constexpr size_t kDamagedShownBytes = 400;

bool holds_text(std::string_view text, std::string_view part) {
  return part.empty() || lower(text).find(lower(part)) != std::string::npos;
}

AuditFolder log_files(const std::string& folder) {
  AuditFolder files = scan_audit_folder(folder);
  if (files.segments.empty())
    throw Error(ErrorCode::not_found, fmt::format("there is no audit log in {}", folder),
                "name its folder; the first operation that is recorded makes it");
  return files;
}

// Adds the lines of one segment that match, from `end` backwards; returns where the page is full,
// or nothing when the segment's beginning was reached.
std::optional<AuditCursor> read_segment_backwards(const std::string& folder, uint64_t segment,
                                                  uint64_t end, const AuditFilter& filter,
                                                  size_t count_max, AuditPage& page,
                                                  bool& reached_from) {
  std::string name = audit_segment_name(segment);
  AuditBackwardReader reader(folder + "/" + name, end);
  uint64_t line_end = reader.offset();
  while (reader.next()) {
    if (page.entries.size() == count_max) return AuditCursor{segment, line_end};
    line_end = reader.offset();
    AuditEntry entry;
    entry.file = name;
    try {
      entry.record = read_audit_line(reader.line());
      entry.line = reader.line();
    } catch (const Error&) {
      entry.line = printable(reader.line(), kDamagedShownBytes);
    }
    if (entry.record && filter.from && entry.record->time < *filter.from - kClockSlack) {
      reached_from = true;
      return std::nullopt;
    }
    // A damaged line may be any, so it matches everything.
    if (!entry.record || matches(*entry.record, filter)) page.entries.push_back(std::move(entry));
  }
  return std::nullopt;
}

// --- CSV ---

std::string csv_field(std::string_view text) {
  std::string field = "\"";
  // A spreadsheet would take it for a formula, and carry it out.
  if (!text.empty() && std::string_view("=+-@").find(text[0]) != std::string_view::npos)
    field += '\'';
  for (char c : text) {
    if (c == '"') field += '"';
    field += c;
  }
  return field + '"';
}

std::string csv_row(const AuditRecord& record) {
  const AuditEvent& event = record.event;
  std::string detail;
  for (const auto& [key, value] : event.detail)
    detail += fmt::format("{}{}={}", detail.empty() ? "" : "; ", key, value);
  return fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n", record.seq,
                     format_rfc3339(record.time), csv_field(event.who.organization),
                     audit_actor_kind_name(event.who.kind), csv_field(event.who.actor),
                     csv_field(event.who.host), csv_field(event.who.address), event.action,
                     csv_field(event.target), audit_outcome_name(event.outcome),
                     csv_field(event.run), csv_field(detail), record.hash);
}

}  // namespace

bool matches(const AuditRecord& record, const AuditFilter& filter) {
  const std::string& action = record.event.action;
  bool of_action =
      filter.action.empty() || action == filter.action || action.starts_with(filter.action + ".");
  return of_action && (!filter.from || record.time >= *filter.from) &&
         (!filter.to || record.time <= *filter.to) &&
         holds_text(record.event.who.actor, filter.actor) &&
         holds_text(record.event.target, filter.target) &&
         (!filter.outcome || record.event.outcome == *filter.outcome);
}

std::string format_audit_cursor(const AuditCursor& cursor) {
  return fmt::format("{}-{}", cursor.segment, cursor.end);
}

AuditCursor parse_audit_cursor(std::string_view text) {
  try {
    CanonicalReader reader(text);
    AuditCursor cursor;
    cursor.segment = reader.number();
    reader.expect("-");
    cursor.end = reader.number();
    reader.end();
    return cursor;
  } catch (const Error&) {
    throw Error(ErrorCode::invalid,
                fmt::format("'{}' is no place in an audit log", printable(text, 80)),
                "take what the page before gave");
  }
}

AuditPage read_audit_page(const std::string& folder, const AuditFilter& filter, size_t count_max,
                          const std::optional<AuditCursor>& from) {
  AuditPage page;
  AuditFolder files = log_files(folder);
  bool reached_from = false;
  for (size_t i = files.segments.size(); i-- > 0 && !page.older && !reached_from;) {
    uint64_t segment = files.segments[i];
    if (from && segment > from->segment) continue;
    bool resumed = from && segment == from->segment;
    uint64_t end = resumed ? from->end : std::numeric_limits<uint64_t>::max();
    page.older =
        read_segment_backwards(folder, segment, end, filter, count_max, page, reached_from);
  }
  return page;
}

void export_audit_csv(const std::string& folder, const AuditFilter& filter, const AuditSink& sink) {
  sink(
      "seq,time,organization,actor_kind,actor,host,address,action,target,outcome,run,detail,"
      "hash\r\n");
  for (uint64_t segment : log_files(folder).segments) {
    std::string name = audit_segment_name(segment);
    AuditLineReader reader(folder + "/" + name, std::numeric_limits<uint64_t>::max());
    while (reader.next()) {
      if (!reader.finished()) break;  // being written just now
      AuditRecord record = with_context(fmt::format("{} line {}", name, reader.number()),
                                        [&] { return read_audit_line(reader.line()); });
      if (matches(record, filter)) sink(csv_row(record));
    }
  }
}

}  // namespace holdfast
