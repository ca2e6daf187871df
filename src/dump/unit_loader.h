// Loading one unit of a backup's data, a piece of a table or a block of large objects, over one
// connection, whose bytes are handed in as they come, wherever they come from.
//
// Before anything is committed, its stored bytes, rows and checksum must be those of the manifest,
// and the server must have counted as many rows: otherwise Error(corrupt). Used by one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/run.h"
#include "dump/archive_blocks.h"
#include "dump/manifest.h"
#include "pg/archive.h"
#include "pg/binary_rows.h"
#include "pg/connection.h"
#include "pg/copy_stream.h"

namespace holdfast {

// A piece of a table, or a block of large objects.
struct LoadUnit {
  const TableRecord* table = nullptr;
  size_t piece = 0;
  const LargeObjectRecord* objects = nullptr;
  // All pieces of its table come to one UnitLoader, in order. They are loaded in one transaction
  // that makes the table anew, so that the server writes rows that need no second look (COPY
  // FREEZE), and no WAL if its wal_level is minimal.
  bool whole_table = false;
};

// Where a unit stands in the archive.
struct Stretch {
  uint64_t offset = 0, bytes = 0;
  std::string stored_xxh3;
};
Stretch stretch_of(const LoadUnit& unit);
std::string place_of(const LoadUnit& unit, const Manifest& manifest);

// How a table's rows are sent: its COPY as text, and, if all its columns have a type that is
// converted here (pg/binary_rows.h), as binary, which spares the server the parsing.
struct SendPlan {
  CopyTarget target;
  std::string table_oid;  // in the database that is loaded
  std::optional<BinaryRows> binary;
  // An ordinary table without a row that this login may truncate.
  bool can_be_made_anew = false;
};
// By the dump id of the TABLE DATA entry.
std::map<int, SendPlan> send_plans(const ArchiveToc& toc, const std::set<int>& wanted,
                                   Connection& connection);

class CopySender;
class LargeObjectLoader;

class UnitLoader {
 public:
  UnitLoader(const Manifest& manifest, const std::map<int, SendPlan>& plans, bool create_objects,
             Connection& connection, const Run& run);
  UnitLoader(const UnitLoader&) = delete;
  UnitLoader& operator=(const UnitLoader&) = delete;
  ~UnitLoader();

  void begin(const LoadUnit& unit);
  void add(ByteView part);
  void end();
  // Of the unit's bytes so far.
  StoredHash& hash() { return hash_; }

 private:
  void begin_piece(const Piece& piece);
  void begin_whole_table(const SendPlan& plan);
  void end_piece();
  void begin_objects(const LargeObjectRecord& record);
  void end_objects(const LargeObjectRecord& record);

  const Manifest& manifest_;
  const std::map<int, SendPlan>& plans_;
  const bool create_objects_;
  Connection& connection_;
  ProgressCounters& counters_;
  PieceDecoder decoder_;
  std::optional<LargeObjectDecoder> objects_;
  std::unique_ptr<LargeObjectLoader> loader_;
  std::unique_ptr<CopySender> sender_;
  StoredHash hash_;
  const LoadUnit* unit_ = nullptr;
  bool anew_ = false;  // the table of the transaction that is open
};

// Throws `error`, or what caused it: damaged bytes may fail first where they decode to nonsense, or
// in the server, which does not take it. `stored` is the hash of what was really read of the unit.
[[noreturn]] void explain_load(const Error& error, const LoadUnit& unit, const std::string& stored);

}  // namespace holdfast
