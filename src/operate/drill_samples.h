// A drill's record for tests: every field has a value of its own.
#pragma once

#include "operate/drill_record.h"

namespace holdfast {

inline DrillRecord sample_drill_record(const std::string& at = "2026-11-28T22:15:00.123Z") {
  DrillRecord record;
  record.began_at = parse_rfc3339(at);
  record.ended_at = record.began_at + std::chrono::seconds(42);
  record.id = drill_id(record.began_at);
  record.verdict = DrillVerdict::passed;
  record.backup = "care_2026-10-21T02-00-00-000Z";
  record.database = "care";
  record.source = "default";
  record.store = "s3";
  record.chosen = "random of 2026-10";
  record.archive_sha256 = std::string(64, 'a');
  record.backup_at = parse_rfc3339("2026-10-21T02:00:00.000Z");
  record.rto_seconds = 38.25;
  record.rto_target_seconds = 14400;
  record.rpo_seconds = 7205.5;
  record.rpo_target_seconds = 86400;
  record.rows = 1234;
  record.bytes = 56789;
  record.phases = {{"fetch", 0.5}, {"server", 1.25}, {"restore", 20}};
  record.tables = {{"public.visits", 1000, 1000, true, true},
                   {"public.\"odd | name\"", 234, std::nullopt, false, false}};
  record.queries = {{"no-orphans", true, "", 0.125}};
  record.amcheck = "42 indexes sound";
  record.notes = {"the backup has no roles and tablespaces"};
  record.server_version = "15.18";
  record.holdfast_version = "0.1.0";
  record.host = "db1";
  record.actor = "anna";
  record.destroyed_at = record.ended_at;
  return record;
}

}  // namespace holdfast
