// Large objects in a dump. They are few and read by pg_dump itself: a second pg_dump, in the same
// snapshot and without table data, streams them, and its blocks are compressed and summed on their
// way into the archive.
#pragma once

#include <functional>
#include <vector>

#include "base/run.h"
#include "dump/archive_sink.h"
#include "dump/manifest.h"
#include "dump/schema_dump.h"

namespace holdfast {

// Reads the blocks of large objects that follow a table of contents (uncompressed), handing every
// object's content on: begin(object id), bytes …, end().
class LargeObjectHandler {
 public:
  virtual ~LargeObjectHandler() = default;
  virtual void begin_block(int dump_id) = 0;
  virtual void begin_object(uint32_t oid) = 0;
  virtual void content(ByteView bytes) = 0;
  virtual void end_object() = 0;
  virtual void end_block() = 0;
};
void read_large_objects(SchemaDump& dump, LargeObjectHandler& handler, const Run& run);

// Sums objects: XXH3-128 of (object id as 8 bytes little-endian, content), added up.
class LargeObjectSummer {
 public:
  LargeObjectSummer();
  ~LargeObjectSummer();
  LargeObjectSummer(const LargeObjectSummer&) = delete;
  LargeObjectSummer& operator=(const LargeObjectSummer&) = delete;
  void begin_object(uint32_t oid);
  void content(ByteView bytes);
  void end_object();
  const RowChecksum& sum() const { return sum_; }
  uint64_t content_bytes() const { return content_bytes_; }
  void reset();

 private:
  XXH3_state_t* state_;
  RowChecksum sum_;
  uint64_t content_bytes_ = 0;
};

// The BLOBS entries of a table of contents, in order.
std::vector<const TocEntry*> large_object_entries(const ArchiveToc& toc);

// Copies the large objects of `from` (opened with kLargeObjectsOnly) into the archive whose table
// of contents is `toc`. Throws Error(internal) if the two do not name the same blocks.
std::vector<LargeObjectRecord> copy_large_objects(SchemaDump& from, const ArchiveToc& toc,
                                                  Codec codec, int level, ArchiveSink& sink,
                                                  const Run& run);

// pg_dump's arguments for a stream that has large objects as its only data.
std::vector<std::string> large_objects_only();

}  // namespace holdfast
