// The reader of compiled time zones: TZif, RFC 8536, as zic writes it into the system's zoneinfo
// folder.
//
// Why our own: g++ 12 has no chrono time zones, and the C library's are one for the whole process,
// chosen by an environment variable. What is read are the 64-bit data of versions 2 to 4; version
// 1, with its end in 2038, is refused, and so are files that count leap seconds ("right/…"), whose
// instants are not the system clock's.
//
// The bytes are foreign. Every count is held against a bound and the size of the file before
// anything is allocated; what breaks a MUST of the RFC, or could not be computed with, is
// Error(corrupt). Pure.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace holdfast {

// No file of tzdata is larger than 4 KiB; this is what is read at all.
constexpr size_t kTzifBytesMax = 64 << 10;

// How far local time may be from UTC, in seconds (RFC 8536, section 3.2).
constexpr std::chrono::seconds kZoneOffsetMin{-89999}, kZoneOffsetMax{93599};

// One way of telling the time.
struct ZoneType {
  std::chrono::seconds offset{};  // local time minus UTC
  bool dst = false;
  std::string abbreviation;  // "CEST", "+0545"

  bool operator==(const ZoneType&) const = default;
};

struct ZoneTransition {
  std::chrono::sys_seconds at{};
  size_t type = 0;  // which of `types` holds from then on

  bool operator==(const ZoneTransition&) const = default;
};

struct TzifData {
  std::vector<ZoneTransition> transitions;  // strictly ascending
  std::vector<ZoneType> types;              // never empty; the first holds before all transitions
  std::string rule;                         // the footer: what holds after them (posix_tz.h)

  bool operator==(const TzifData&) const = default;
};

// Throws Error(corrupt), or Error(unsupported) for version 1 and for leap seconds.
TzifData parse_tzif(ByteView bytes);

}  // namespace holdfast
