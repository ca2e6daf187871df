// Facts of a source as tests make them: a month of nightly backups in a folder and a bucket, all
// proven, drilled ten days ago. Each test breaks what it is about. For unit tests.
#pragma once

#include <string>

#include "operate/status_facts.h"

namespace holdfast {

inline UtcTime sample_now() {
  return parse_rfc3339("2026-11-28T12:00:00.000Z");
}

inline BackupFacts sample_backup(BackupKind kind, UtcTime at, uint64_t bytes = 1000) {
  BackupFacts backup;
  backup.id = (kind == BackupKind::dump ? "care_" : "backup-") + format_name_time(at);
  backup.created_at = at;
  backup.proof = ProofState::passed;
  if (kind == BackupKind::dump) backup.bytes = bytes;
  return backup;
}

// Nightly at 02:00, the newest last.
inline PlaceFacts sample_place(const std::string& name, PlaceKind kind, const std::string& host,
                               int nights = 30) {
  PlaceFacts place;
  place.name = name;
  place.location = kind == PlaceKind::bucket ? "s3://care/backups" : "/var/backups/care";
  place.kind = kind;
  place.host = host;
  UtcTime last = parse_rfc3339("2026-11-28T02:00:00.000Z");
  for (int i = nights - 1; i >= 0; --i)
    place.backups.push_back(sample_backup(place.backup_kind(), last - std::chrono::days(i),
                                          uint64_t(1'000'000 - 1000 * i)));
  return place;
}

inline DrillRecord sample_drill(DrillVerdict verdict, int days_ago, double rto_seconds,
                                DrillKind kind = DrillKind::dump) {
  DrillRecord drill;
  drill.ended_at = sample_now() - std::chrono::days(days_ago);
  drill.id = "drill-" + format_name_time(drill.ended_at);
  drill.kind = kind;
  drill.verdict = verdict;
  drill.backup = "care_2026-10-07T02-00-00-000Z";
  drill.rto_seconds = rto_seconds;
  return drill;
}

inline StatusFacts sample_facts() {
  StatusFacts facts;
  facts.source = "care";
  facts.database = "care_commons";
  facts.now = sample_now();
  facts.places = {sample_place("local", PlaceKind::folder, ""),
                  sample_place("s3", PlaceKind::bucket, "s3.other.example")};
  facts.drills = {sample_drill(DrillVerdict::passed, 10, 600)};
  facts.source_host = "ep-1.eu-central-1.aws.neon.tech";
  return facts;
}

}  // namespace holdfast
