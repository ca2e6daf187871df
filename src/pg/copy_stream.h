// COPY data straight from and to the connection's socket.
//
// Why past libpq: PQgetCopyData allocates and copies every row and needs a whole row in memory
// (a 100 MB field is 200 MB of text). Here the frontend/backend protocol (PostgreSQL manual,
// chapter "Message Formats") is read in large blocks, and a row is handed on in parts as they come.
// libpq does everything else: it has connected, logged in and, for TLS, made the session, whose SSL
// object is used (PQsslStruct). Between calls the connection is idle and libpq can go on using it.
//
// Both functions run one COPY statement to its end. A server error becomes an Error; afterwards the
// connection can be used again unless the message says that it was lost. Where the socket cannot be
// shared (GSSAPI encryption), libpq's own functions are used.
#pragma once

#include <functional>
#include <string>

#include "base/bytes.h"
#include "pg/connection.h"

namespace holdfast {

// Called with data of a row: `part` is the next bytes, `row_starts` and `row_ends` say whether the
// row begins and ends with them. The newline that ends a row is included.
using CopyRowSink = std::function<void(ByteView part, bool row_starts, bool row_ends)>;

// Receives COPY data of `COPY … TO STDOUT`. Returns the number of rows that the server counted.
class CopyOutHandler {
 public:
  virtual ~CopyOutHandler() = default;
  // A block of bytes that holds only whole rows, `rows` of them ended by newlines.
  virtual void row_part(ByteView part, bool row_starts, bool row_ends) = 0;
};
uint64_t copy_out(Connection& connection, const std::string& sql, CopyOutHandler& handler);

// A running `COPY … FROM STDIN`. Text may be cut anywhere.
class CopyIn {
 public:
  CopyIn(Connection& connection, const std::string& sql);
  CopyIn(const CopyIn&) = delete;
  CopyIn& operator=(const CopyIn&) = delete;
  ~CopyIn();  // not finished: the COPY is failed, so the server keeps nothing of it
  void write(ByteView text);
  // Ends the COPY; returns the number of rows that the server counted.
  uint64_t finish();

 private:
  Connection& connection_;
  std::string sql_;
  bool running_ = false;
};

}  // namespace holdfast
