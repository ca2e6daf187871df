// The manifest: the JSON document beside an archive that says what is in it, so that it can be
// proven. Its format is docs/format/manifest.md.
//
// It is written last and makes the backup count. It carries its own SHA-256 as its last line, so
// that a changed byte anywhere in it is found. It holds no secret and no row of data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "pg/archive.h"
#include "seal/gpg.h"
#include "seal/row_checksum.h"

namespace holdfast {

// A stretch of a table's data that was compressed by itself. Pieces of all tables, in order, tile
// the archive from the end of the table of contents to the end of the file.
struct Piece {
  uint64_t offset = 0;      // in the archive; of the block header for a block's first piece
  uint64_t bytes = 0;       // in the archive, chunk lengths and block ends included
  uint64_t text_bytes = 0;  // uncompressed
  RowChecksum sum;          // rows and checksum of the rows in it
  std::string stored_xxh3;  // XXH3-128 of the archive bytes of the piece, 32 hex digits
};

struct TableRecord {
  std::string name;  // "public.visits", as people write it; quoted where needed
  int dump_id = 0;   // of its TABLE DATA entry
  RowChecksum sum;
  uint64_t text_bytes = 0;
  std::vector<Piece> pieces;  // at least one
};

// A block of large objects. Its checksum: the sum over objects of XXH3-128 of (object id as 8 bytes
// little-endian, then content).
struct LargeObjectRecord {
  int dump_id = 0;
  uint64_t offset = 0, bytes = 0;
  uint64_t content_bytes = 0;
  RowChecksum sum;  // `rows` counts objects
  std::string stored_xxh3;
};

struct ExtensionRecord {
  std::string name, version;
};

// An object as it stands in the store.
struct StoredObject {
  uint64_t bytes = 0;
  std::string sha256;
};

// How the objects of a sealed backup are stored. Everything else in the manifest is of the plain
// archive, as it is once opened.
struct SealRecord {
  SealMethod method = SealMethod::recipients;
  std::vector<std::string> recipients;  // fingerprints of their keys; none for a passphrase
  std::string program;                  // "gpg (GnuPG) 2.2.40"
  StoredObject archive;
  std::optional<StoredObject> globals;
};

struct Manifest {
  std::string id;  // "care_commons_2026-11-23T02-00-00-000Z"
  std::string database;
  std::string source;  // the source's name in the configuration, or "default"
  std::string server;  // where it was, without secrets
  std::string server_version;
  int server_major = 0;
  std::string system_identifier;
  std::string lsn;       // of the snapshot
  UtcTime created_at{};  // of the snapshot, by this machine's clock
  UtcTime finished_at{};
  std::string holdfast_version, pg_dump_version;

  std::string archive_object;  // name in the store
  uint64_t archive_bytes = 0;
  std::string archive_sha256;
  std::string archive_version;  // "1.14"
  Codec codec = Codec::gzip;
  uint64_t toc_bytes = 0;
  std::string toc_sha256;
  uint64_t toc_entries = 0;

  std::optional<std::string> globals_object;
  uint64_t globals_bytes = 0;
  std::string globals_sha256;

  std::optional<SealRecord> seal;

  std::string encoding, collate, ctype;
  // What sorts its text where that is not the C library ("icu", "builtin"), with its locale and an
  // ICU locale's own rules. Empty: the C library, or a backup older than these members.
  std::string locale_provider, locale, icu_rules;
  std::string time_zone;  // of the session that dumped, by default; empty: not known
  std::vector<ExtensionRecord> extensions;
  std::string schema_fingerprint;     // see dump/fingerprint.h
  std::vector<std::string> excluded;  // "--exclude-table-data audit_events", as the user said it

  std::vector<TableRecord> tables;  // in archive order
  std::vector<LargeObjectRecord> large_objects;

  // What names a place in the archive: its object, or, where that is sealed, "… once opened".
  std::string archive_label() const {
    return seal ? archive_object + " once opened," : archive_object;
  }
  // The size of the archive's object in its store.
  uint64_t stored_bytes() const { return seal ? seal->archive.bytes : archive_bytes; }
  uint64_t total_rows() const {
    uint64_t rows = 0;
    for (const TableRecord& table : tables) rows += table.sum.rows;
    return rows;
  }
  uint64_t total_text_bytes() const;  // of tables, and the content of large objects
};

// Throws Error(internal) if the manifest does not agree with itself (see below): one that could not
// be read back is never written.
std::string write_manifest(const Manifest& manifest);

// Throws Error(corrupt) naming the place (a field, a table, a line, or only the self-checksum) if
// `text` is not exactly what write_manifest wrote, or if its fields do not agree: hashes have their
// form, pieces and blocks of large objects tile the archive, pieces add up to their tables.
// Throws Error(unsupported) for a sound manifest of a later version.
Manifest read_manifest(const std::string& text);

constexpr uint64_t kManifestBytesMax = uint64_t{1} << 30;

}  // namespace holdfast
