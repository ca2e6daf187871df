// PostgreSQL's custom-format archive ("PGDMP"), as written by pg_dump -Fc of PostgreSQL 9.0 to 18:
// archive versions 1.12 to 1.14 (12: table access method), 1.15 (16: compression by name) and 1.16
// (17: relkind). Source: src/bin/pg_dump/pg_backup_archiver.c and pg_backup_custom.c; our page is
// docs/format/archive.md.
//
//   header | table of contents | data blocks …        (integers: sign byte + 4 bytes,
//   little-endian) block:  type (1 data, 3 large objects), dump id, chunks {length, bytes} …,
//   length 0 large-object block: {object id, chunks …, length 0} …, object id 0
//
// The parser trusts nothing: every count and length is bounded, and memory grows only with bytes
// that were really read. It throws Error(corrupt) with the offset, Error(unsupported) for an
// archive of another version or format. Values are plain data; functions are pure.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "seal/compression.h"

namespace holdfast {

// Reads the next `size` bytes exactly; throws Error(corrupt) at the end of the input. It is asked
// for a few bytes at a time (never more than kTocReadStep), so it should read from a buffer.
using ExactReader = std::function<void(uint8_t* out, size_t size)>;

struct ArchiveHeader {
  int version_minor = 14;  // of archive version 1.x
  int version_rev = 0;
  int int_size = 4;  // always 4
  int offset_size = 8;
  Codec codec = Codec::none;
  int gzip_level = 0;            // up to 1.14: the number in the header (-1: zlib's default)
  std::array<int, 7> created{};  // sec, min, hour, mday, mon, year, isdst as in struct tm
  std::string database;
  std::string server_version;  // "15.18 (Debian …)"
  std::string dump_version;
};

enum class Section { none = 1, pre_data = 2, data = 3, post_data = 4 };

// Whether the table of contents says where an entry's data block stands. It does (`set`) only where
// pg_dump could seek in its output, never when it wrote to a pipe.
enum class DataState { not_set = 1, set = 2, no_data = 3 };

// NULL and empty strings are both "": the difference is kept in ArchiveToc::bytes only.
struct TocEntry {
  int dump_id = 0;          // > 0, unique in the archive
  bool had_dumper = false;  // has (or had) a data block in the archive
  std::string table_oid, oid;
  std::string tag, desc;  // desc: "TABLE", "TABLE DATA", "BLOBS", "SEQUENCE SET", …
  Section section = Section::none;
  std::string defn, drop_stmt, copy_stmt;
  std::string name_space, tablespace, access_method, owner;
  int relkind = 0;  // from 1.16 on
  bool with_oids = false;
  std::vector<int> dependencies;
  size_t dependencies_end = 0;  // in ArchiveToc::bytes: where another dependency would be put in
  DataState data_state = DataState::no_data;
  uint64_t data_offset = 0;  // of the block header in the file, if data_state is `set`
};

struct ArchiveToc {
  ArchiveHeader header;
  std::vector<TocEntry> entries;
  std::string bytes;        // header and table of contents exactly as they stand in the file
  size_t header_bytes = 0;  // how many of them are the header's
};

constexpr uint64_t kTocBytesMax = uint64_t{1} << 30;  // a database of a million objects is ~0.5 GB
constexpr size_t kTocReadStep = size_t{64} << 10;     // memory grows by no more than is then read

// Reads header and table of contents from the start of an archive.
ArchiveToc read_archive_toc(const ExactReader& read);

// `toc.bytes` with the compression in its header changed to `codec`: what stands at the front of an
// archive whose data is compressed that way. Throws Error(unsupported) for zstd before 1.15, for
// lz4, and for a table of contents that names the places of its data, which would be wrong then.
// `more_dependencies`: dump id of an entry → dump ids that it gets as further dependencies.
using Dependencies = std::map<int, std::vector<int>>;
std::string toc_bytes_with_codec(const ArchiveToc& toc, Codec codec,
                                 const Dependencies& more_dependencies = {});

// --- data blocks ---

constexpr uint8_t kBlockData = 1;
constexpr uint8_t kBlockLargeObjects = 3;

// Sign byte and four bytes. Object ids above 2^31 - 1 are written as pg_dump does: as the negative
// int of the same 32 bits; static_cast<uint32_t>(decode_int(…)) is the id again.
std::string encode_int(int64_t value);
std::string encode_block_header(uint8_t type, int dump_id);  // type byte, dump id
constexpr size_t kIntBytes = 5;
// What stands after the rows of a table, inside its compressed stream: pg_restore copies it into
// the SQL scripts that it writes, where it ends the COPY data.
constexpr std::string_view kCopyEndMark = "\\.\n\n\n";
constexpr size_t kBlockHeaderBytes = 1 + kIntBytes;

// Takes apart a stream of archive bytes that follows the table of contents.
struct BlockHeader {
  uint8_t type = 0;
  int dump_id = 0;
};
BlockHeader decode_block_header(ByteView six_bytes);  // throws Error(corrupt)
int64_t decode_int(ByteView five_bytes);              // throws Error(corrupt)
constexpr int64_t kChunkBytesMax = int64_t{1} << 30;

// The parts of a table's COPY statement as it stands in a TABLE DATA entry:
// `COPY public.t (a, "b c") FROM stdin;`
struct CopyTarget {
  std::string table;    // quoted and qualified as in the statement
  std::string columns;  // "(a, \"b c\")", or "" for a table without columns
};
// Throws Error(unsupported) if `statement` has another form.
CopyTarget parse_copy_statement(const std::string& statement);

}  // namespace holdfast
