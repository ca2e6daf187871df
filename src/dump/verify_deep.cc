#include "dump/verify_deep.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "base/text.h"
#include "base/workers.h"
#include "dump/archive_blocks.h"
#include "dump/archive_scan.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr uint64_t kNowhere = std::numeric_limits<uint64_t>::max();

// A piece or a block of large objects, as the manifest places it.
struct Unit {
  uint64_t offset = 0, bytes = 0;
  bool large_objects = false;
  size_t record = 0;  // index of the table or of the large-object record
  size_t piece = 0;
};

// What was found of a unit.
struct Found {
  bool finished = false, ok = false;
  RowChecksum sum;
  uint64_t decoded_bytes = 0;
  uint32_t adler = 1;
  std::optional<uint32_t> stream_adler;
};

std::vector<Unit> units_of(const Manifest& manifest) {
  std::vector<Unit> units;
  for (size_t t = 0; t < manifest.tables.size(); ++t)
    for (size_t p = 0; p < manifest.tables[t].pieces.size(); ++p) {
      const Piece& piece = manifest.tables[t].pieces[p];
      units.push_back({piece.offset, piece.bytes, false, t, p});
    }
  for (size_t i = 0; i < manifest.large_objects.size(); ++i) {
    const LargeObjectRecord& record = manifest.large_objects[i];
    units.push_back({record.offset, record.bytes, true, i, 0});
  }
  std::sort(units.begin(), units.end(),
            [](const Unit& a, const Unit& b) { return a.offset < b.offset; });
  return units;
}

std::string describe(const Unit& unit, const Manifest& manifest) {
  if (unit.large_objects) return fmt::format("large objects, block {}", unit.record + 1);
  const TableRecord& table = manifest.tables[unit.record];
  return fmt::format("table {}, piece {} of {}", table.name, unit.piece + 1, table.pieces.size());
}

std::string place_of(const Unit& unit, const Manifest& manifest) {
  return archive_place(manifest.archive_label(), unit.offset, unit.offset + unit.bytes,
                       describe(unit, manifest));
}

// Cuts the file at the borders of units that are known beforehand.
class KnownUnits final : public Splitter {
 public:
  explicit KnownUnits(const std::vector<Unit>& units) : units_(units) {}

  Part next(uint64_t offset, ByteView bytes) override {
    while (next_ < units_.size() && units_[next_].offset + units_[next_].bytes <= offset) ++next_;
    Part part;
    if (next_ == units_.size()) {
      part.bytes = bytes.size();
      return part;
    }
    const Unit& unit = units_[next_];
    uint64_t until = unit.offset > offset ? unit.offset : unit.offset + unit.bytes;
    part.bytes = static_cast<size_t>(std::min<uint64_t>(until - offset, bytes.size()));
    part.in_unit = unit.offset <= offset;
    part.unit = next_;
    part.first = offset == unit.offset;
    part.last = part.in_unit && offset + part.bytes == until;
    return part;
  }

 private:
  const std::vector<Unit>& units_;
  size_t next_ = 0;
};

// Decodes and compares one unit after another.
class UnitVerifier final : public UnitHandler {
 public:
  UnitVerifier(const Manifest& manifest, const std::vector<Unit>& units, std::vector<Found>& found,
               ProblemList& problems, const Run& run)
      : manifest_(manifest),
        units_(units),
        found_(found),
        problems_(problems),
        run_(run),
        pieces_(manifest.codec),
        objects_(manifest.codec) {}

  void begin(size_t index) override {
    index_ = index;
    damage_.clear();
    hash_.reset();
    const Unit& unit = units_[index];
    guarded([&] {
      if (unit.large_objects) {
        objects_.begin(manifest_.large_objects[unit.record].dump_id, nullptr);
        return;
      }
      const TableRecord& table = manifest_.tables[unit.record];
      PieceRole role;
      role.dump_id = table.dump_id;
      role.first = unit.piece == 0;
      role.last = unit.piece + 1 == table.pieces.size();
      pieces_.begin(role, {});
    });
  }

  void add(ByteView bytes) override {
    run_.check_stop();
    hash_.add(bytes);
    if (!damage_.empty()) return;
    guarded([&] { units_[index_].large_objects ? objects_.add(bytes) : pieces_.add(bytes); });
  }

  void end() override {
    const Unit& unit = units_[index_];
    if (damage_.empty()) guarded([&] { unit.large_objects ? objects_.end() : pieces_.end(); });
    Found& found = found_[index_];
    found.finished = true;
    found.sum = unit.large_objects ? objects_.sum() : pieces_.sum();
    if (!unit.large_objects) {
      found.decoded_bytes = pieces_.decoded_bytes();
      found.adler = pieces_.adler();
      found.stream_adler = pieces_.stream_adler();
    }
    std::string problem = compare(unit, found);
    found.ok = problem.empty();
    if (!found.ok) problems_.add_at(unit.offset, place_of(unit, manifest_), problem);
    count(unit, found);
  }

 private:
  template <typename Work>
  void guarded(Work&& work) {
    try {
      work();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      damage_ = error.what();
    }
  }

  std::string compare(const Unit& unit, const Found& found) const {
    const LargeObjectRecord* block =
        unit.large_objects ? &manifest_.large_objects[unit.record] : nullptr;
    const Piece* piece =
        unit.large_objects ? nullptr : &manifest_.tables[unit.record].pieces[unit.piece];
    const std::string& expected_hash = block != nullptr ? block->stored_xxh3 : piece->stored_xxh3;
    if (hash_.hex() != expected_hash)
      return "the stored bytes are not those that were written" +
             (damage_.empty() ? std::string() : ": " + damage_);
    if (!damage_.empty()) return damage_;
    const RowChecksum& expected = block != nullptr ? block->sum : piece->sum;
    uint64_t expected_bytes = block != nullptr ? block->content_bytes : piece->text_bytes;
    const char* noun = block != nullptr ? "large object" : "row";
    if (found.sum.rows != expected.rows)
      return fmt::format("{} instead of {}", plural(found.sum.rows, noun), expected.rows);
    if (!(found.sum == expected))
      return fmt::format("the {}s are not those that were dumped (checksum {} instead of {})", noun,
                         found.sum.sum_hex(), expected.sum_hex());
    bool same_bytes = block != nullptr ? objects_.content_bytes() == expected_bytes
                                       : pieces_.text_bytes() == expected_bytes ||
                                             pieces_.decoded_bytes() == expected_bytes;
    return same_bytes ? std::string()
                      : fmt::format("decompresses to another length than {} bytes", expected_bytes);
  }

  void count(const Unit& unit, const Found& found) {
    ProgressCounters& counters = run_.progress.counters();
    counters.bytes += unit.large_objects ? objects_.content_bytes() : pieces_.text_bytes();
    if (unit.large_objects) return;
    counters.rows += found.sum.rows;
    if (unit.piece + 1 == manifest_.tables[unit.record].pieces.size()) ++counters.tables;
  }

  const Manifest& manifest_;
  const std::vector<Unit>& units_;
  std::vector<Found>& found_;  // each unit's entry is written by its one worker
  ProblemList& problems_;
  const Run& run_;
  PieceDecoder pieces_;
  LargeObjectDecoder objects_;
  StoredHash hash_;
  size_t index_ = 0;
  std::string damage_;
};

// The units must tile the file; where they do not, nothing can be decoded.
bool check_tiling(const Manifest& manifest, const std::vector<Unit>& units, ProblemList& problems) {
  uint64_t at = manifest.toc_bytes;
  for (const Unit& unit : units) {
    if (unit.offset != at || unit.bytes == 0) {
      problems.add_at(at, place_of(unit, manifest), "the manifest leaves a gap or an overlap here");
      return false;
    }
    at += unit.bytes;
  }
  if (at == manifest.archive_bytes) return true;
  problems.add_at(at, archive_place(manifest.archive_label(), at, manifest.archive_bytes, "end"),
                  "the manifest does not say what these bytes are");
  return false;
}

void check_size(uint64_t bytes, const Manifest& manifest, const std::vector<Unit>& units,
                const std::vector<Found>& found, ProblemList& problems) {
  if (bytes > manifest.archive_bytes) {
    problems.add_at(
        manifest.archive_bytes,
        archive_place(manifest.archive_label(), manifest.archive_bytes, bytes,
                      "after the last block"),
        fmt::format("{} follow the archive's end", plural(bytes - manifest.archive_bytes, "byte")));
    return;
  }
  if (bytes == manifest.archive_bytes) return;
  std::string inside = "header and table of contents";
  uint64_t missing = 0;
  for (size_t i = 0; i < units.size(); ++i) {
    if (found[i].finished) continue;
    if (missing++ == 0 && bytes >= manifest.toc_bytes) inside = describe(units[i], manifest);
  }
  problems.add_at(bytes,
                  archive_place(manifest.archive_label(), bytes, manifest.archive_bytes, inside),
                  fmt::format("the archive ends at byte {} of {}: {} or parts of them are missing",
                              bytes, manifest.archive_bytes, plural(missing, "piece")));
}

// A table is right when all its pieces are, their sums add up and the stream's own Adler-32 agrees.
std::vector<TableVerdict> judge_tables(const Manifest& manifest, const std::vector<Unit>& units,
                                       const std::vector<Found>& found, ProblemList& problems) {
  std::vector<TableVerdict> verdicts(manifest.tables.size());
  std::vector<RowChecksum> sums(manifest.tables.size());
  std::vector<uint32_t> adlers(manifest.tables.size(), 1);
  for (size_t t = 0; t < verdicts.size(); ++t) {
    verdicts[t].name = manifest.tables[t].name;
    verdicts[t].ok = !units.empty();
  }
  for (size_t i = 0; i < units.size(); ++i) {  // in order, so a table's pieces are in order
    if (units[i].large_objects) continue;
    size_t t = units[i].record;
    verdicts[t].ok = verdicts[t].ok && found[i].finished && found[i].ok;
    sums[t].add(found[i].sum);
    adlers[t] = combine_adler(adlers[t], found[i].adler, found[i].decoded_bytes);
    bool adler_wrong = found[i].stream_adler && *found[i].stream_adler != adlers[t];
    if (verdicts[t].ok && adler_wrong) {
      verdicts[t].ok = false;
      problems.add_at(units[i].offset, place_of(units[i], manifest),
                      "the stream's Adler-32 does not fit its content");
    }
  }
  for (size_t t = 0; t < verdicts.size(); ++t) {
    verdicts[t].rows = sums[t].rows;
    if (!verdicts[t].ok || sums[t] == manifest.tables[t].sum) continue;
    verdicts[t].ok = false;
    problems.add(fmt::format("table {}", verdicts[t].name),
                 "its pieces do not add up to the table's rows and checksum");
  }
  return verdicts;
}

}  // namespace

// --- problems and places ---

void ProblemList::add(std::string where, std::string what) {
  add_at(kNowhere, std::move(where), std::move(what));
}

void ProblemList::add_at(uint64_t offset, std::string where, std::string what) {
  std::lock_guard lock(mutex_);
  bool known = std::any_of(problems_.begin(), problems_.end(), [&](const Placed& placed) {
    return offset != kNowhere && placed.offset == offset && placed.problem.where == where;
  });
  if (known) return;
  if (problems_.size() >= kProblemsMax) {
    ++left_out_;
    return;
  }
  problems_.push_back({offset, {std::move(where), std::move(what)}});
}

bool ProblemList::empty() const {
  std::lock_guard lock(mutex_);
  return problems_.empty();
}

std::vector<Problem> ProblemList::take() {
  std::lock_guard lock(mutex_);
  std::stable_sort(problems_.begin(), problems_.end(),
                   [](const Placed& a, const Placed& b) { return a.offset < b.offset; });
  std::vector<Problem> result;
  for (Placed& placed : problems_) result.push_back(std::move(placed.problem));
  if (left_out_ > 0) result.push_back({"and more", plural(left_out_, "further problem")});
  problems_.clear();
  left_out_ = 0;
  return result;
}

std::string archive_place(const std::string& object, uint64_t begin, uint64_t end,
                          const std::string& inside) {
  return fmt::format("{} bytes {}-{} ({})", object, begin, end, inside);
}

// --- scans ---

ArchiveToc read_toc_of(ObjectReader& archive) {
  constexpr size_t kBufferBytes = 64 << 10;
  std::vector<uint8_t> buffer(kBufferBytes);
  size_t begin = 0, end = 0;
  uint64_t offset = 0;
  return read_archive_toc([&](uint8_t* out, size_t size) {
    while (size > 0) {
      if (begin == end) {
        begin = 0;
        end = archive.read(offset, buffer.data(), buffer.size());
        if (end == 0)
          throw Error(
              ErrorCode::corrupt,
              fmt::format("the archive ends at byte {}, inside its table of contents", offset));
        offset += end;
      }
      size_t part = std::min(size, end - begin);
      std::copy_n(buffer.data() + begin, part, out);
      begin += part;
      out += part;
      size -= part;
    }
  });
}

ScanResult scan_with_manifest(ObjectReader& archive, const Manifest& manifest, int jobs,
                              ProblemList& problems, const Run& run) {
  std::vector<Unit> units = units_of(manifest);
  if (!check_tiling(manifest, units, problems)) units.clear();
  std::vector<Found> found(units.size());

  ProgressCounters& counters = run.progress.counters();
  counters.tables_total = manifest.tables.size();
  counters.bytes_total = manifest.total_text_bytes();
  KnownUnits splitter(units);
  Sha256 sha256, toc_sha256;
  uint64_t read = 0;
  ScanResult result;
  result.bytes = scan_archive(
      archive, worker_count(jobs), splitter,
      [&](ByteView bytes) {
        sha256.update(bytes);
        if (read < manifest.toc_bytes)
          toc_sha256.update(bytes.first(
              static_cast<size_t>(std::min<uint64_t>(bytes.size(), manifest.toc_bytes - read))));
        read += bytes.size();
      },
      [&](WorkerScope&) {
        return std::make_unique<UnitVerifier>(manifest, units, found, problems, run);
      },
      run);

  if (toc_sha256.finish_hex() != manifest.toc_sha256)
    problems.add_at(0,
                    archive_place(manifest.archive_label(), 0, manifest.toc_bytes,
                                  "header and table of contents"),
                    "the bytes are not those that were written (SHA-256)");
  check_size(result.bytes, manifest, units, found, problems);
  result.tables = judge_tables(manifest, units, found, problems);
  for (const TableVerdict& table : result.tables) result.rows += table.rows;
  result.sha256 = sha256.finish_hex();
  if (result.sha256 != manifest.archive_sha256 && problems.empty())
    problems.add(manifest.archive_label(),
                 "SHA-256 is " + result.sha256 + " instead of " + manifest.archive_sha256);
  return result;
}

}  // namespace holdfast
