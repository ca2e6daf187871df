// The drill record as people read and sign it.
#include <fmt/format.h>

#include "base/text.h"
#include "operate/drill_record.h"

namespace holdfast {
namespace {

// A name or a message between Markdown's own signs.
std::string md(const std::string& text) {
  std::string escaped;
  for (char c : printable(text)) {
    if (std::string_view("\\`*_{}[]<>|#~").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string md_target(const std::optional<int64_t>& seconds) {
  return seconds ? human_seconds(double(*seconds)) : std::string("none is set");
}

std::string md_list(const char* title, const std::vector<std::string>& texts) {
  if (texts.empty()) return {};
  std::string all = fmt::format("\n## {}\n\n", title);
  for (const std::string& text : texts) all += "- " + md(text) + "\n";
  return all;
}

std::string md_facts(const DrillRecord& record) {
  std::string all = "| | |\n|---|---|\n";
  auto row = [&](const char* name, const std::string& value) {
    if (!value.empty()) all += fmt::format("| {} | {} |\n", name, value);
  };
  row("Verdict", "**" + std::string(drill_verdict_name(record.verdict)) + "**");
  row("Drill", md(record.id));
  row("Backup", md(record.backup));
  row("Kind", std::string(drill_kind_name(record.kind)));
  row("Database", md(record.database));
  row("Source", md(record.source));
  row("Store", md(record.store));
  row("Chosen", md(record.chosen));
  row("The backup holds the moment", format_rfc3339(record.backup_at));
  row("SHA-256 of the archive", record.archive_sha256);
  row("Size of the archive", record.bytes == 0 ? "" : human_bytes(record.bytes));
  row("Began", format_rfc3339(record.began_at));
  row("Ended", format_rfc3339(record.ended_at));
  row("Recovery time (RTO)", record.rto_seconds > 0
                                 ? fmt::format("{} of {}{}", human_seconds(record.rto_seconds),
                                               md_target(record.rto_target_seconds),
                                               record.within_rto() ? "" : ": **missed**")
                                 : std::string("not reached"));
  row("Data at risk (RPO)", record.rpo_seconds
                                ? fmt::format("{} of {}{}", human_seconds(*record.rpo_seconds),
                                              md_target(record.rpo_target_seconds),
                                              record.within_rpo() ? "" : ": **missed**")
                                : std::string("there is no proven backup"));
  row("PostgreSQL", md(record.server_version));
  row("Holdfast", md(record.holdfast_version));
  row("Run by", md(record.actor.empty() ? record.host : record.actor + " on " + record.host));
  row("Scratch data", record.destroyed_at ? "destroyed at " + format_rfc3339(*record.destroyed_at)
                      : record.kind == DrillKind::branch
                          ? std::string("none was made: the branch's own compute was used")
                          : std::string("not known to be destroyed: see the problems"));
  return all;
}

std::string md_tables(const DrillRecord& record) {
  if (record.tables.empty()) return {};
  size_t same = 0;
  for (const DrillTable& table : record.tables) same += table.same ? 1 : 0;
  std::string all = fmt::format("\n## Tables\n\n{} of {} are row by row what the backup says.\n",
                                same, record.tables.size());
  std::string rows;
  for (const DrillTable& table : record.tables)
    if (table.critical || !table.same)
      rows += fmt::format("| {} | {} | {} | {} | {} |\n", md(table.name), table.rows,
                          table.expected ? std::to_string(*table.expected) : "-",
                          table.same ? "yes" : "**no**", table.critical ? "yes" : "");
  if (!rows.empty())
    all += "\n| table | rows | expected | same | critical |\n|---|---|---|---|---|\n" + rows;
  return all;
}

std::string md_queries(const DrillRecord& record) {
  if (record.queries.empty()) return {};
  std::string all = "\n## Queries\n\n| query | passed | seconds | problem |\n|---|---|---|---|\n";
  for (const DrillQuery& query : record.queries)
    all += fmt::format("| {} | {} | {:.1f} | {} |\n", md(query.name),
                       query.passed ? "yes" : "**no**", query.seconds, md(query.problem));
  return all;
}

// What the Security Rule's auditors ask of a test of the contingency plan: documented, reviewed and
// certified by management, with the corrective actions that were taken.
constexpr std::string_view kSignOff =
    "\n## Sign-off\n\n"
    "| | name | signature | date |\n|---|---|---|---|\n"
    "| Performed by | | | |\n"
    "| Reviewed by | | | |\n"
    "| Certified by management | | | |\n\n"
    "Corrective actions (what, who, until when; or \"none needed\"):\n\n"
    "1. \n2. \n3. \n\n"
    "Date on which the corrective actions were completed: \n";

}  // namespace

std::string drill_record_markdown(const DrillRecord& record) {
  std::string text = fmt::format("# Recovery drill of {}\n\n", md(record.database)) +
                     md_facts(record) + md_list("What went wrong", record.problems);
  if (!record.phases.empty()) {
    text += "\n## Time\n\n| phase | seconds |\n|---|---|\n";
    for (const DrillPhase& phase : record.phases)
      text += fmt::format("| {} | {:.1f} |\n", md(phase.name), phase.seconds);
  }
  text += md_tables(record) + md_queries(record);
  if (!record.amcheck.empty()) text += fmt::format("\n## Indexes\n\n{}\n", md(record.amcheck));
  text += md_list("Notes", record.notes);
  return text + std::string(kSignOff);
}

}  // namespace holdfast
