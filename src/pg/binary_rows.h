// COPY text to binary rows, on the client: parsing COPY text is about a quarter of what a server
// spends on loading a table, and a table all of whose columns have one of a few well-known types
// can be sent with `COPY … FROM STDIN (FORMAT binary)` instead.
//
//   header | row … | trailer         (all integers big-endian)
//   row:    int16 number of fields, then per field int32 length (-1: NULL) and that many bytes
//
// The text is as COPY TO writes it with DateStyle ISO, TimeZone UTC and bytea_output hex; client
// and server have the same encoding, so text passes unchanged and the server checks it as ever.
// Nothing is guessed: what is not written exactly so (infinity, years BC, other time zones, \ooo
// escapes …) is refused, and is the server's to parse from the text. The server must be PostgreSQL
// 10 or later (integer timestamps).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace holdfast {

// Which binary form a column has. A table with a column of any other type goes as text.
enum class BinaryType {
  boolean,
  int2,
  int4,
  int8,
  text,  // and varchar, bpchar
  json,
  jsonb,
  uuid,
  date,
  timestamp,
  timestamptz,
  bytea,
};

// By the object id of a built-in type. Domains and arrays have other ids, and no binary form here.
std::optional<BinaryType> binary_type_of(uint32_t type_oid);

class BinaryRows {
 public:
  explicit BinaryRows(std::vector<BinaryType> columns);

  // Appends the binary rows of `text` (whole lines, each ended by a newline) to `out`. Returns
  // false, and leaves `out` as it was, if any line holds what is not converted with certainty; the
  // caller then sends this stretch as text. It keeps no state: calls may run at the same time, and
  // an `out` that is cleared and used again is not allocated again.
  bool append(ByteView text, std::string& out) const;

 private:
  std::vector<BinaryType> columns_;
};

std::string binary_header();
std::string binary_trailer();

}  // namespace holdfast
