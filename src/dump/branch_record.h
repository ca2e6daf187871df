// The record of a backup that is a branch: a JSON document in every store, so that the catalogue
// knows of it as it knows of dumps. The data themselves are where the branch is, at Neon or at an
// engine. See docs/format/branch.md.
//
// A record holds no row of data and no secret. It can be made again from the branch, which carries
// what is in it (branch/branch_backup.h).
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "dump/table_sums.h"
#include "store/object_store.h"

namespace holdfast {

struct BranchBackupRecord {
  std::string id;        // and the branch's name: "backup-2026-11-10T14-30-00-000Z"
  std::string database;  // the source's own; the branch holds all of its cluster
  std::string source;    // the source's name in the configuration
  UtcTime created_at{};  // the moment that the branch holds
  std::string host;      // where the API is, without its path: "console.neon.tech"
  std::string project_id, branch_id, parent_id, parent_name;
  std::string lsn;  // empty: the API did not say
  bool is_protected = false;
  std::string holdfast_version;
};

constexpr uint64_t kBranchRecordBytesMax = 64 << 10;

std::string write_branch_record(const BranchBackupRecord& record);
// Throws Error(corrupt) for bytes that do not match their own SHA-256 or do not make sense,
// Error(unsupported) for a later version.
BranchBackupRecord read_branch_record(const std::string& text);

// What the branch's tables held when they were read first: what every later proof is held against.
struct BranchTables {
  std::vector<TableSum> tables;
  std::string dump_id;   // of the dump that read them; empty: a proof did
  bool partial = false;  // only the tables that were critical then were read
};
constexpr uint64_t kBranchTablesBytesMax = 64 << 20;
std::string write_branch_tables(const std::string& id, const BranchTables& tables);
// As read_branch_record; `id` is the backup's, which the document must name.
BranchTables read_branch_tables(const std::string& text, const std::string& id);

}  // namespace holdfast
