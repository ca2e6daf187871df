// Manifests for tests: small ones in which every field has a value of its own.
#pragma once

#include <string>

#include "dump/branch_record.h"
#include "dump/manifest.h"
#include "dump/names.h"

namespace holdfast {

inline RowChecksum sample_sum(uint64_t rows, uint64_t seed) {
  return {rows, seed * 0x9E3779B97F4A7C15u, seed * 0xC2B2AE3D27D4EB4Fu};
}

inline std::string sample_hex(size_t digits, uint64_t seed) {
  std::string hex;
  for (size_t i = 0; i < digits; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    hex.push_back("0123456789abcdef"[seed >> 60]);
  }
  return hex;
}

// Appends a piece to a table where the last one of the archive ends.
inline void add_sample_piece(Manifest& m, TableRecord& table, uint64_t bytes, uint64_t text_bytes,
                             uint64_t rows) {
  Piece piece{m.archive_bytes, bytes, text_bytes, sample_sum(rows, bytes),
              sample_hex(32, m.archive_bytes)};
  m.archive_bytes += bytes;
  table.text_bytes += text_bytes;
  table.sum.add(piece.sum);
  table.pieces.push_back(piece);
}

inline Manifest sample_manifest(const std::string& database = "care_commons",
                                const std::string& at = "2026-11-23T02:00:00.000Z") {
  Manifest m;
  m.created_at = parse_rfc3339(at);
  m.finished_at = m.created_at + std::chrono::seconds(42);
  m.database = database;
  m.id = backup_id(database, m.created_at);
  m.source = "default";
  m.server = "db.example.com:5432";
  m.server_version = "15.18 (Debian 15.18-0+deb12u1)";
  m.server_major = 15;
  m.system_identifier = "7432109876543210987";
  m.lsn = "16/B374D848";
  m.holdfast_version = "0.1.0";
  m.pg_dump_version = "15.18";
  m.archive_object = archive_name(m.id);
  m.archive_sha256 = sample_hex(64, 1);
  m.archive_version = "1.14";
  m.toc_bytes = 4000;
  m.toc_sha256 = sample_hex(64, 2);
  m.toc_entries = 77;
  m.globals_object = globals_name(m.id);
  m.globals_bytes = 512;
  m.globals_sha256 = sample_hex(64, 3);
  m.encoding = "UTF8";
  m.collate = m.ctype = "en_US.UTF-8";
  m.time_zone = "Europe/Berlin";
  m.extensions = {{"plpgsql", "1.0"}, {"pgcrypto", "1.3"}};
  m.schema_fingerprint = sample_hex(64, 4);
  m.excluded = {"--exclude-table-data audit_events"};
  m.archive_bytes = m.toc_bytes;

  TableRecord visits{"public.visits", 3050, {}, 0, {}};
  add_sample_piece(m, visits, 1000, 9000, 40);
  add_sample_piece(m, visits, 900, 8000, 35);
  TableRecord empty{"public.\"größe \\ \"\"x\"\"\"", 3051, {}, 0, {}};
  add_sample_piece(m, empty, 21, 0, 0);
  m.tables = {visits, empty};
  LargeObjectRecord objects{3052, m.archive_bytes, 300, 1000, sample_sum(3, 9), sample_hex(32, 5)};
  m.archive_bytes += objects.bytes;
  m.large_objects = {objects};
  return m;
}

inline void seal_sample(Manifest& m, SealMethod method) {
  m.archive_object = archive_name(m.id, true);
  m.globals_object = globals_name(m.id, true);
  SealRecord seal;
  seal.method = method;
  if (method == SealMethod::recipients)
    seal.recipients = {"0123456789ABCDEF0123456789ABCDEF01234567", std::string(64, 'F')};
  seal.program = "gpg (GnuPG) 2.2.40";
  seal.archive = {5000, sample_hex(64, 6)};
  seal.globals = StoredObject{600, sample_hex(64, 7)};
  m.seal = seal;
}

inline BranchBackupRecord sample_branch_record(const std::string& at,
                                               const std::string& database = "care") {
  BranchBackupRecord record;
  record.created_at = parse_rfc3339(at);
  record.id = branch_backup_id(record.created_at);
  record.database = database;
  record.source = "default";
  record.host = "console.neon.tech";
  record.project_id = "quiet-sun-12345678";
  record.branch_id = "br-quiet-sun-00000002";
  record.parent_id = "br-main-line-00000001";
  record.parent_name = "main \"live\"";
  record.lsn = "0/16B3748";
  record.is_protected = true;
  record.holdfast_version = "0.1.0";
  return record;
}

}  // namespace holdfast
