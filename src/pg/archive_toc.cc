// Header and table of contents of a custom-format archive: read field by field, kept byte by byte.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "pg/archive.h"

namespace holdfast {

namespace {

constexpr std::string_view kMagic = "PGDMP";
constexpr int kVersionMajor = 1;
constexpr int kVersionMinorOldest = 12;  // PostgreSQL 9.0
constexpr int kVersionMinorNewest = 16;  // PostgreSQL 17 and 18
constexpr int kVersionTableAccessMethod = 14;
constexpr int kVersionCompressionByName = 15;
constexpr int kVersionRelkind = 16;
constexpr int kFormatCustom = 1, kFormatTar = 3, kFormatDirectory = 5;

// Magic, three version bytes, sizes of int and offset, format; then the compression.
constexpr size_t kCompressionAt = 11;
// What pg_dump itself writes up to 1.14 when it compresses at its default level.
constexpr int kGzipDefaultLevel = -1;
constexpr int kGzipLevelMax = 9;
// An entry has four ints, at least twelve string lengths and its offset: a bound for reserve().
constexpr size_t kEntriesReservedMax = 4096;

[[noreturn]] void corrupt(const std::string& what) {
  throw Error(ErrorCode::corrupt, what);
}

// Reads the archive's primitive values and keeps every byte.
class TocReader {
 public:
  explicit TocReader(const ExactReader& read) : read_(read) {}

  std::string& bytes() { return bytes_; }
  const std::string& bytes() const { return bytes_; }

  // The next `size` bytes, valid until the next call. Grows in steps, each read before the next is
  // allocated, so that a claimed length costs nothing until its bytes have come.
  std::string_view take(size_t size) {
    size_t start = bytes_.size();
    if (size > kTocBytesMax - start) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("a field of {} bytes, beyond the largest table of contents", size));
    }
    for (size_t left = size; left > 0;) {
      size_t step = std::min(left, kTocReadStep), at = bytes_.size();
      bytes_.resize(at + step);
      read_(reinterpret_cast<uint8_t*>(bytes_.data() + at), step);
      left -= step;
    }
    return std::string_view(bytes_).substr(start);
  }

  int take_byte() { return static_cast<uint8_t>(take(1)[0]); }
  int take_int() { return static_cast<int>(decode_int(as_bytes(take(kIntBytes)))); }

  // False for NULL (`out` is then empty).
  bool take_string(std::string& out) {
    int length = take_int();
    out.clear();
    if (length == -1) return false;
    if (length < 0) corrupt(fmt::format("a text of {} bytes", length));
    std::string_view text = take(static_cast<size_t>(length));
    // pg_restore would see the text end here.
    if (text.find('\0') != std::string_view::npos) corrupt("a text with a zero byte in it");
    out = text;
    return true;
  }

 private:
  const ExactReader& read_;
  std::string bytes_;
};

int parse_dump_id(const std::string& digits, const char* what) {
  int id = 0;
  auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  if (failure != std::errc() || end != digits.data() + digits.size() || id <= 0) {
    corrupt(fmt::format("a {} that is no dump id", what));
  }
  return id;
}

void read_version(TocReader& in, ArchiveHeader& header) {
  if (in.take(kMagic.size()) != kMagic) {
    throw Error(ErrorCode::corrupt, "not an archive in PostgreSQL's custom format",
                "only what pg_dump -Fc (or holdfast backup) wrote can be read; plain SQL goes "
                "through psql");
  }
  int major = in.take_byte();
  header.version_minor = in.take_byte();
  header.version_rev = in.take_byte();
  if (major != kVersionMajor || header.version_minor < kVersionMinorOldest ||
      header.version_minor > kVersionMinorNewest) {
    throw Error(ErrorCode::unsupported,
                fmt::format("archive version {}.{} is not one of 1.{} to 1.{}", major,
                            header.version_minor, kVersionMinorOldest, kVersionMinorNewest),
                "use the pg_restore of the PostgreSQL that wrote it");
  }
}

void read_layout(TocReader& in, ArchiveHeader& header) {
  header.int_size = in.take_byte();
  header.offset_size = in.take_byte();
  if (header.int_size != 4 || (header.offset_size != 4 && header.offset_size != 8)) {
    throw Error(ErrorCode::unsupported,
                fmt::format("archive with integers of {} and offsets of {} bytes", header.int_size,
                            header.offset_size));
  }
  int format = in.take_byte();
  if (format == kFormatTar || format == kFormatDirectory) {
    throw Error(ErrorCode::unsupported, "archive in the tar or the directory format",
                "only the custom format (pg_dump -Fc) is read");
  }
  if (format != kFormatCustom) corrupt(fmt::format("unknown archive format {}", format));
}

void read_compression(TocReader& in, ArchiveHeader& header) {
  if (header.version_minor < kVersionCompressionByName) {
    header.gzip_level = in.take_int();
    if (header.gzip_level < kGzipDefaultLevel || header.gzip_level > kGzipLevelMax) {
      corrupt(fmt::format("compression level {}", header.gzip_level));
    }
    header.codec = header.gzip_level == 0 ? Codec::none : Codec::gzip;
    return;
  }
  switch (int algorithm = in.take_byte()) {
    case 0:
      header.codec = Codec::none;
      break;
    case 1:
      header.codec = Codec::gzip;
      break;
    case 2:
      header.codec = Codec::lz4;
      break;
    case 3:
      header.codec = Codec::zstd;
      break;
    default:
      corrupt(fmt::format("unknown compression {}", algorithm));
  }
}

ArchiveHeader read_header(TocReader& in) {
  ArchiveHeader header;
  read_version(in, header);
  read_layout(in, header);
  read_compression(in, header);
  for (int& part : header.created) part = in.take_int();
  in.take_string(header.database);
  in.take_string(header.server_version);
  in.take_string(header.dump_version);
  return header;
}

void read_data_place(TocReader& in, const ArchiveHeader& header, TocEntry& entry) {
  int state = in.take_byte();
  if (state < static_cast<int>(DataState::not_set) ||
      state > static_cast<int>(DataState::no_data)) {
    corrupt(fmt::format("unknown data state {}", state));
  }
  entry.data_state = static_cast<DataState>(state);
  std::string_view offset = in.take(static_cast<size_t>(header.offset_size));
  for (size_t i = offset.size(); i-- > 0;) {
    entry.data_offset = entry.data_offset << 8 | static_cast<uint8_t>(offset[i]);
  }
}

bool take_flag(TocReader& in, const char* what) {
  int flag = in.take_int();
  if (flag != 0 && flag != 1) corrupt(fmt::format("{} is {}, neither 0 nor 1", what, flag));
  return flag == 1;
}

void read_dependencies(TocReader& in, TocEntry& entry) {
  for (std::string id; in.take_string(id);) {
    entry.dependencies.push_back(parse_dump_id(id, "dependency"));
  }
  entry.dependencies_end = in.bytes().size() - kIntBytes;  // before the NULL that ends the list
}

TocEntry read_entry(TocReader& in, const ArchiveHeader& header) {
  TocEntry entry;
  entry.dump_id = in.take_int();
  if (entry.dump_id <= 0) corrupt(fmt::format("dump id {}", entry.dump_id));
  entry.had_dumper = take_flag(in, "the data flag");
  if (!in.take_string(entry.table_oid) || !in.take_string(entry.oid)) {
    corrupt("an entry without object ids");
  }
  in.take_string(entry.tag);
  in.take_string(entry.desc);
  if (entry.desc.empty()) corrupt("an entry without a type");
  int section = in.take_int();
  if (section < static_cast<int>(Section::none) || section > static_cast<int>(Section::post_data)) {
    corrupt(fmt::format("unknown section {}", section));
  }
  entry.section = static_cast<Section>(section);
  in.take_string(entry.defn);
  in.take_string(entry.drop_stmt);
  in.take_string(entry.copy_stmt);
  in.take_string(entry.name_space);
  in.take_string(entry.tablespace);
  if (header.version_minor >= kVersionTableAccessMethod) in.take_string(entry.access_method);
  if (header.version_minor >= kVersionRelkind) entry.relkind = in.take_int();
  in.take_string(entry.owner);
  std::string with_oids;
  in.take_string(with_oids);
  if (with_oids != "true" && with_oids != "false") corrupt("an OID flag that is not true or false");
  entry.with_oids = with_oids == "true";
  read_dependencies(in, entry);
  read_data_place(in, header, entry);
  return entry;
}

void read_entries(TocReader& in, ArchiveToc& toc) {
  int count = in.take_int();
  if (count < 0) corrupt(fmt::format("{} entries", count));
  toc.entries.reserve(std::min(static_cast<size_t>(count), kEntriesReservedMax));
  std::unordered_set<int> ids;
  for (int i = 0; i < count; ++i) {
    toc.entries.push_back(read_entry(in, toc.header));
    int id = toc.entries.back().dump_id;
    if (!ids.insert(id).second) corrupt(fmt::format("dump id {} twice", id));
  }
}

std::string with_dependencies(const ArchiveToc& toc, const Dependencies& more) {
  if (more.empty()) return toc.bytes;
  std::string bytes;
  size_t copied = 0;
  for (const TocEntry& entry : toc.entries) {
    auto at = more.find(entry.dump_id);
    if (at == more.end()) continue;
    bytes.append(toc.bytes, copied, entry.dependencies_end - copied);
    copied = entry.dependencies_end;
    for (int id : at->second) {
      std::string digits = std::to_string(id);
      bytes += encode_int(static_cast<int64_t>(digits.size())) + digits;
    }
  }
  return bytes.append(toc.bytes, copied, std::string::npos);
}

void put_text(std::string& bytes, std::string_view text) {
  std::copy(text.begin(), text.end(), bytes.begin() + kCompressionAt);
}

}  // namespace

ArchiveToc read_archive_toc(const ExactReader& read) {
  TocReader in(read);
  ArchiveToc toc;
  try {
    toc.header = read_header(in);
    toc.header_bytes = in.bytes().size();
    read_entries(in, toc);
  } catch (const Error& error) {
    // What else went wrong (no connection, no right) is the reader's to tell, and not about bytes.
    if (error.code() != ErrorCode::corrupt) throw;
    throw error.within(fmt::format("archive's table of contents, byte {}", in.bytes().size()));
  }
  toc.bytes = std::move(in.bytes());
  return toc;
}

std::string toc_bytes_with_codec(const ArchiveToc& toc, Codec codec,
                                 const Dependencies& more_dependencies) {
  bool by_name = toc.header.version_minor >= kVersionCompressionByName;
  if (codec == Codec::lz4 || (codec == Codec::zstd && !by_name)) {
    throw Error(ErrorCode::unsupported,
                fmt::format("archive version 1.{} cannot be written with {} compression",
                            toc.header.version_minor, codec_name(codec)),
                "use gzip; zstd needs pg_dump 16 or newer");
  }
  for (const TocEntry& entry : toc.entries) {
    if (entry.data_state == DataState::set) {
      throw Error(ErrorCode::unsupported,
                  "the table of contents names the places of its data blocks",
                  "take it from a pg_dump that writes to a pipe");
    }
  }
  std::string bytes = with_dependencies(toc, more_dependencies);
  if (by_name) {
    char algorithm = codec == Codec::gzip ? 1 : codec == Codec::zstd ? 3 : 0;
    put_text(bytes, std::string_view(&algorithm, 1));
  } else {
    put_text(bytes, encode_int(codec == Codec::gzip ? kGzipDefaultLevel : 0));
  }
  return bytes;
}

}  // namespace holdfast
