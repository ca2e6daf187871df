// Verification of archives that Holdfast did not write: no manifest says where pieces are, so the
// reading thread finds the borders of blocks and the workers decode one block each.
#include <fmt/format.h>

#include <map>

#include "base/text.h"
#include "base/workers.h"
#include "dump/archive_blocks.h"
#include "dump/archive_scan.h"
#include "dump/verify_deep.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

std::string table_name(const TocEntry& entry) {
  try {
    return parse_copy_statement(entry.copy_stmt).table;
  } catch (const Error&) {
    return entry.name_space + "." + entry.tag;  // written as INSERT statements
  }
}

// Finds blocks while the file passes by.
class BlockBorders final : public Splitter, private BlockEvents {
 public:
  BlockBorders(uint64_t toc_bytes, const std::string& name, ProblemList& problems)
      : toc_bytes_(toc_bytes), name_(name), problems_(problems), walker_(*this) {}

  Part next(uint64_t offset, ByteView bytes) override {
    Part part;
    part.bytes = bytes.size();
    if (offset < toc_bytes_) {
      part.bytes = static_cast<size_t>(std::min<uint64_t>(toc_bytes_ - offset, bytes.size()));
      return part;
    }
    if (damaged_) return part;
    part.first = walker_.between_blocks();
    if (part.first) {
      block_offset_ = offset;
      ++blocks_;
    }
    ended_ = false;
    try {
      part.bytes = walker_.add(bytes);
    } catch (const Error& error) {
      damaged_ = true;
      problems_.add_at(block_offset_,
                       archive_place(name_, block_offset_, offset + bytes.size(),
                                     fmt::format("data block {}", blocks_)),
                       error.what());
      return Part{.bytes = bytes.size()};
    }
    part.in_unit = true;
    part.unit = blocks_ - 1;
    part.last = ended_;
    return part;
  }

  // After the last byte.
  void finish(uint64_t size) {
    if (damaged_ || walker_.between_blocks()) return;
    problems_.add_at(
        block_offset_,
        archive_place(name_, block_offset_, size, fmt::format("data block {}", blocks_)),
        "the archive ends inside this block");
  }

 private:
  void block_end() override { ended_ = true; }

  const uint64_t toc_bytes_;
  const std::string& name_;
  ProblemList& problems_;
  BlockWalker walker_;
  uint64_t block_offset_ = 0;
  size_t blocks_ = 0;
  bool ended_ = false, damaged_ = false;
};

// What the workers found, by dump id.
struct Findings {
  std::mutex mutex;
  std::map<int, TableRecord> tables;
  std::map<int, LargeObjectRecord> large_objects;
};

class BlockVerifier final : public UnitHandler {
 public:
  BlockVerifier(const std::map<int, const TocEntry*>& entries, Codec codec, const std::string& name,
                Findings& findings, ProblemList& problems, const Run& run)
      : entries_(entries),
        name_(name),
        findings_(findings),
        problems_(problems),
        run_(run),
        pieces_(codec),
        objects_(codec) {}

  void begin(size_t unit) override {
    unit_ = unit;
    header_.clear();
    entry_ = nullptr;
    damaged_ = false;
  }

  void add(ByteView bytes) override {
    run_.check_stop();
    if (damaged_) return;
    guarded([&] {
      if (entry_ == nullptr) {
        if (!header_.take(bytes, kBlockHeaderBytes)) return;
        begin_entry(decode_block_header(header_.view()));
        decode(header_.view());
      }
      decode(bytes);
    });
  }

  void end() override {
    if (damaged_) return;
    guarded([&] { large_objects_ ? objects_.end() : pieces_.end(); });
    if (damaged_) return;
    std::lock_guard lock(findings_.mutex);
    if (large_objects_) {
      LargeObjectRecord& record = findings_.large_objects[entry_->dump_id];
      record.dump_id = entry_->dump_id;
      record.sum = objects_.sum();
      record.content_bytes = objects_.content_bytes();
      return;
    }
    TableRecord& record = findings_.tables[entry_->dump_id];
    record.dump_id = entry_->dump_id;
    record.name = table_name(*entry_);
    record.sum = pieces_.sum();
    record.text_bytes = pieces_.text_bytes();
    run_.progress.counters().bytes += record.text_bytes;
    run_.progress.counters().rows += record.sum.rows;
    ++run_.progress.counters().tables;
  }

 private:
  void begin_entry(const BlockHeader& header) {
    auto at = entries_.find(header.dump_id);
    if (at == entries_.end())
      throw Error(ErrorCode::corrupt,
                  fmt::format("its entry {} is not in the table of contents", header.dump_id));
    entry_ = at->second;
    large_objects_ = header.type == kBlockLargeObjects;
    if (large_objects_) return objects_.begin(header.dump_id, nullptr);
    PieceRole role;
    role.dump_id = header.dump_id;
    role.whole = true;
    role.copy_text = !entry_->copy_stmt.empty();
    pieces_.begin(role, {});
  }
  void decode(ByteView bytes) {
    if (bytes.empty()) return;
    large_objects_ ? objects_.add(bytes) : pieces_.add(bytes);
  }
  template <typename Work>
  void guarded(Work&& work) {
    try {
      work();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) throw;
      damaged_ = true;
      std::string where = entry_ == nullptr ? fmt::format("data block {}", unit_ + 1)
                          : large_objects_  ? "large objects " + entry_->tag
                                            : "table " + table_name(*entry_);
      problems_.add(fmt::format("{} ({})", name_, where), error.what());
    }
  }

  const std::map<int, const TocEntry*>& entries_;
  const std::string& name_;
  Findings& findings_;
  ProblemList& problems_;
  const Run& run_;
  PieceDecoder pieces_;
  LargeObjectDecoder objects_;
  SmallBuffer<kBlockHeaderBytes> header_;
  const TocEntry* entry_ = nullptr;
  size_t unit_ = 0;
  bool large_objects_ = false, damaged_ = false;
};

// Entries that must have a block, in the order of the table of contents.
bool has_block(const TocEntry& entry) {
  return entry.had_dumper && (entry.desc == "TABLE DATA" || entry.desc == "BLOBS");
}

}  // namespace

ForeignScan scan_without_manifest(ObjectReader& archive, const std::string& name,
                                  const ArchiveToc& toc, int jobs, ProblemList& problems,
                                  const Run& run) {
  std::map<int, const TocEntry*> entries;
  for (const TocEntry& entry : toc.entries)
    if (has_block(entry)) entries[entry.dump_id] = &entry;
  run.progress.counters().tables_total = entries.size();

  BlockBorders borders(toc.bytes.size(), name, problems);
  Findings findings;
  Sha256 sha256;
  ForeignScan scan;
  scan.result.bytes = scan_archive(
      archive, worker_count(jobs), borders, [&](ByteView bytes) { sha256.update(bytes); },
      [&](WorkerScope&) {
        return std::make_unique<BlockVerifier>(entries, toc.header.codec, name, findings, problems,
                                               run);
      },
      run);
  borders.finish(scan.result.bytes);
  scan.result.sha256 = sha256.finish_hex();

  for (const TocEntry& entry : toc.entries) {
    if (!has_block(entry)) continue;
    if (entry.desc == "BLOBS") {
      auto at = findings.large_objects.find(entry.dump_id);
      if (at == findings.large_objects.end())
        problems.add(fmt::format("{} (large objects {})", name, entry.tag), "no intact data block");
      else
        scan.large_objects.push_back(at->second);
      continue;
    }
    auto at = findings.tables.find(entry.dump_id);
    bool ok = at != findings.tables.end();
    if (!ok)
      problems.add(fmt::format("{} (table {})", name, table_name(entry)), "no intact data block");
    if (entry.copy_stmt.empty()) ++scan.uncounted_tables;
    if (ok) scan.tables.push_back(at->second);
    uint64_t rows = ok ? at->second.sum.rows : 0;
    scan.result.tables.push_back({table_name(entry), rows, ok});
    scan.result.rows += rows;
  }
  return scan;
}

}  // namespace holdfast
