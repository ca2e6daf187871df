// A time zone by its IANA name: from UTC to local time, and back, with what daylight saving time
// does to the latter made explicit. UTC needs no file; the others are read from the system's
// zoneinfo folder (package tzdata).
//
// A zone is a sequence of spans of time with one offset each. Where clocks are set forward, some
// local times never come (a gap); where they are set back, some come twice. Callers decide what
// that means to them: here is no guess.
//
// Instants are answered for from year 0 to 9999; what is outside is treated as the nearest of these
// and so is never an error. A value, never changed after it was made; any thread may ask it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "schedule/posix_tz.h"
#include "schedule/tzif.h"

namespace holdfast {

// Where Debian and most others have it.
constexpr std::string_view kZoneinfoFolder = "/usr/share/zoneinfo";

// The time between two settings of the clocks: `begin` <= instant < `end`. Spans that meet may have
// the same offset.
struct ZoneSpan {
  std::chrono::sys_seconds begin{}, end{};
  ZoneType type;

  std::chrono::local_seconds local(std::chrono::sys_seconds instant) const {
    return std::chrono::local_seconds{instant.time_since_epoch() + type.offset};
  }
  std::chrono::sys_seconds instant(std::chrono::local_seconds local) const {
    return std::chrono::sys_seconds{local.time_since_epoch() - type.offset};
  }
};

// When a local time is.
struct LocalInstants {
  enum class Kind { once, gap, twice };
  Kind kind = Kind::once;
  // The first and the last instant at which clocks show it; in a gap, both are the instant at which
  // the clocks are set past it.
  std::chrono::sys_seconds first{}, last{};
};

class Zone {
 public:
  static Zone utc();

  // "UTC" and "Etc/UTC" without a file. Throws Error(invalid) for a name that is none,
  // Error(not_found) for one that is not in the folder, with the nearest one or the package to
  // install, and what parse_tzif throws, naming the file.
  static Zone load(std::string_view name, const std::string& zoneinfo_folder);

  // Of the bytes of a TZif file. Throws what parse_tzif throws, and Error(corrupt) for a rule that
  // contradicts the last transition.
  static Zone parse(std::string name, ByteView tzif);

  const std::string& name() const { return name_; }

  ZoneSpan span_at(std::chrono::sys_seconds instant) const;
  LocalInstants find(std::chrono::local_seconds local) const;

  // The latest local time that clocks have shown up to and including `instant`: what they show
  // then, unless they were set back a moment ago.
  std::chrono::local_seconds reached(std::chrono::sys_seconds instant) const;
  // The first instant at which clocks show `local` or a later time. For one in a gap that is the
  // gap's end; for one that comes twice, the first time. `first_reaching(l) <= i` exactly when
  // `reached(i) >= l`.
  std::chrono::sys_seconds first_reaching(std::chrono::local_seconds local) const;

 private:
  Zone() = default;

  std::string name_;
  TzifData data_;
  std::optional<PosixZoneRule> rule_;
};

}  // namespace holdfast
