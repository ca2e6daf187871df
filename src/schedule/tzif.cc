#include "schedule/tzif.h"

#include <fmt/format.h>

#include "base/error.h"

namespace holdfast {
namespace {

// RFC 8536, section 3.1: magic, version, 15 unused bytes, six counts.
constexpr size_t kTzifHeaderSize = 44;
// The RFC has no bound. The most that tzdata has are 236 transitions and 16 types (Casablanca).
constexpr uint32_t kTransitionsMax = 4096, kTypesMax = 256, kNameBytesMax = 1024;
// "A transition time should not be less than -2^59" (section 3.2), which is before the Big Bang.
constexpr int64_t kTransitionMin = -(int64_t{1} << 59), kTransitionMax = int64_t{1} << 59;

Error broken(std::string_view what) {
  return Error(ErrorCode::corrupt, fmt::format("time zone data: {}", what));
}

int64_t load_signed_be64(const uint8_t* p) {
  return static_cast<int64_t>(uint64_t{load_be32(p)} << 32 | load_be32(p + 4));
}

// Hands out the file's bytes in order, never more than there are.
class TzifCursor {
 public:
  explicit TzifCursor(ByteView bytes) : rest_(bytes) {}

  ByteView take(uint64_t size) {
    if (size > rest_.size()) throw broken("it is cut short");
    ByteView taken = rest_.first(static_cast<size_t>(size));
    rest_ = rest_.subspan(static_cast<size_t>(size));
    return taken;
  }
  ByteView rest() const { return rest_; }

 private:
  ByteView rest_;
};

struct TzifHeader {
  uint8_t version = 0;
  uint32_t ut_flags = 0, std_flags = 0, leaps = 0, transitions = 0, types = 0, name_bytes = 0;

  // Of the data block behind it.
  uint64_t data_size(uint64_t time_size) const {
    return uint64_t{transitions} * (time_size + 1) + uint64_t{types} * 6 + name_bytes +
           uint64_t{leaps} * (time_size + 4) + std_flags + ut_flags;
  }
};

TzifHeader read_header(TzifCursor& cursor) {
  ByteView bytes = cursor.take(kTzifHeaderSize);
  if (as_text(bytes.first(4)) != "TZif") throw broken("it does not begin with TZif");
  TzifHeader header;
  header.version = bytes[4];
  uint32_t* counts[] = {&header.ut_flags,    &header.std_flags, &header.leaps,
                        &header.transitions, &header.types,     &header.name_bytes};
  for (size_t i = 0; i < std::size(counts); ++i) *counts[i] = load_be32(&bytes[20 + 4 * i]);
  return header;
}

void check_header(const TzifHeader& header) {
  if (header.leaps != 0)
    throw Error(ErrorCode::unsupported, "time zone data: it counts leap seconds",
                "choose the zone of the same name without right/");
  if (header.transitions > kTransitionsMax || header.types > kTypesMax ||
      header.name_bytes > kNameBytesMax)
    throw broken("it has more entries than any zone");
  if (header.types == 0 || header.name_bytes == 0) throw broken("it has no types");
  for (uint32_t flags : {header.ut_flags, header.std_flags})
    if (flags != 0 && flags != header.types) throw broken("its flags do not fit its types");
}

std::vector<ZoneTransition> read_transitions(ByteView times, ByteView indexes, uint32_t types) {
  std::vector<ZoneTransition> transitions;
  transitions.reserve(indexes.size());
  for (size_t i = 0; i < indexes.size(); ++i) {
    int64_t at = load_signed_be64(&times[8 * i]);
    if (at < kTransitionMin || at > kTransitionMax) throw broken("a transition is out of range");
    if (indexes[i] >= types) throw broken("a transition has no type");
    std::chrono::sys_seconds time{std::chrono::seconds(at)};
    if (!transitions.empty() && time <= transitions.back().at)
      throw broken("its transitions are not in order");
    transitions.push_back({time, indexes[i]});
  }
  return transitions;
}

std::string read_abbreviation(ByteView names, size_t at) {
  std::string_view rest = as_text(names).substr(std::min(at, names.size()));
  size_t end = rest.find('\0');
  if (end == std::string_view::npos) throw broken("an abbreviation does not end");
  for (char c : rest.substr(0, end)) {
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!letter && c != '+' && c != '-') throw broken("an abbreviation is not one");
  }
  return std::string(rest.substr(0, end));
}

std::vector<ZoneType> read_types(ByteView entries, ByteView names) {
  std::vector<ZoneType> types;
  for (size_t at = 0; at < entries.size(); at += 6) {
    std::chrono::seconds offset{static_cast<int32_t>(load_be32(&entries[at]))};
    if (offset < kZoneOffsetMin || offset > kZoneOffsetMax) throw broken("an offset is too large");
    if (entries[at + 4] > 1) throw broken("a type is neither standard nor daylight saving time");
    types.push_back({offset, entries[at + 4] == 1, read_abbreviation(names, entries[at + 5])});
  }
  return types;
}

std::string read_footer(ByteView rest) {
  std::string_view text = as_text(rest);
  if (text.size() < 2 || text.front() != '\n' || text.find('\n', 1) != text.size() - 1)
    throw broken("its last line is not one");
  return std::string(text.substr(1, text.size() - 2));
}

}  // namespace

TzifData parse_tzif(ByteView bytes) {
  if (bytes.size() > kTzifBytesMax) throw broken("it is larger than any zone");
  TzifCursor cursor(bytes);
  TzifHeader first = read_header(cursor);
  if (first.version == 0)
    throw Error(ErrorCode::unsupported, "time zone data: it is of version 1, which ends in 2038",
                "install a newer tzdata");
  if (first.version < '2' || first.version > '4') throw broken("its version is unknown");
  cursor.take(first.data_size(4));  // the data for readers of version 1

  TzifHeader header = read_header(cursor);
  if (header.version != first.version) throw broken("it has two versions");
  check_header(header);
  ByteView times = cursor.take(uint64_t{header.transitions} * 8);
  ByteView indexes = cursor.take(header.transitions);
  ByteView entries = cursor.take(uint64_t{header.types} * 6);
  ByteView names = cursor.take(header.name_bytes);
  // Which of the transitions had been given in standard time or UTC matters to zic only.
  cursor.take(uint64_t{header.std_flags} + header.ut_flags);

  TzifData data;
  data.transitions = read_transitions(times, indexes, header.types);
  data.types = read_types(entries, names);
  data.rule = read_footer(cursor.rest());
  return data;
}

}  // namespace holdfast
