// COPY text to binary rows, on the client: parsing COPY text is about a quarter of what a server
// spends on loading a table, and a table all of whose columns have one of a few well-known types
// can be sent with `COPY … FROM STDIN (FORMAT binary)` instead.
//
//   header | row … | trailer         (all integers big-endian)
//   row:    int16 number of fields, then per field int32 length (-1: NULL) and that many bytes
//
// The text is as COPY TO writes it with DateStyle ISO, TimeZone UTC, bytea_output hex and floats of
// full precision; client and server have the same encoding, so text passes unchanged and the server
// checks it as ever. Nothing is guessed: what is not written exactly so, or seldom (infinity, NaN,
// years BC, 24:00:00, other time zones, very long numbers, arrays of several dimensions or with
// bounds, \ooo escapes …) is refused, and is the server's to parse from the text. The server must
// be PostgreSQL 10 or later (integer timestamps).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace holdfast {

// Which binary form a value has. A table with a column of any other type goes as text.
enum class BinaryType {
  boolean,
  int2,
  int4,
  int8,
  text,  // and varchar, bpchar, and types that are not built in but sent as text: enums, citext
  json,
  jsonb,
  uuid,
  date,
  timestamp,
  timestamptz,
  bytea,
  time_of_day,
  numeric,
  float4,
  float8,
};

struct BinaryColumn {
  BinaryType type;           // the value's, or of an array the elements'
  uint32_t element_oid = 0;  // of an array, which names it in its binary form; 0: not an array

  friend bool operator==(const BinaryColumn&, const BinaryColumn&) = default;
};

// By the object id of a built-in type or of an array of it; other types have ids that differ from
// one database to the next. Of a domain, ask with the id of its base type.
std::optional<BinaryColumn> binary_column_of(uint32_t type_oid);

class BinaryRows {
 public:
  explicit BinaryRows(std::vector<BinaryColumn> columns);

  // Appends the binary rows of `text` (whole lines, each ended by a newline) to `out`. Returns
  // false, and leaves `out` as it was, if any line holds what is not converted with certainty; the
  // caller then sends this stretch as text. It keeps no state: calls may run at the same time, and
  // an `out` that is cleared and used again is not allocated again.
  bool append(ByteView text, std::string& out) const;

 private:
  std::vector<BinaryColumn> columns_;
};

std::string binary_header();
std::string binary_trailer();

}  // namespace holdfast
