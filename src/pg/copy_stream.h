// COPY data straight from and to the connection's socket.
//
// Why past libpq: PQgetCopyData allocates and copies every row and needs a whole row in memory
// (a 100 MB field is 200 MB of text). Here the frontend/backend protocol (PostgreSQL manual,
// chapter "Message Formats") is read in large blocks, and a row is handed on in parts as they come.
// libpq does everything else: it has connected, logged in and, for TLS, made the session, whose SSL
// object is used (PQsslStruct). Between calls the connection is idle and libpq can go on using it.
//
// Both directions run one COPY statement to its end. A server error becomes an Error; afterwards
// the connection can be used again unless it was lost. One thread at a time per connection.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "pg/connection.h"

namespace holdfast {

// Receives the rows of `COPY … TO STDOUT` as they arrive.
class CopyOutHandler {
 public:
  virtual ~CopyOutHandler() = default;
  // The next bytes of a row, valid only during the call; the newline that ends the row is included.
  // Nearly every row comes in one part (`row_starts` and `row_ends`); a long one in several.
  virtual void row_part(ByteView part, bool row_starts, bool row_ends) = 0;
};

// Runs `sql` and hands its rows to `handler`. Returns the number of rows that the server counted.
// An exception from the handler leaves the connection unusable: close it.
uint64_t copy_out(Connection& connection, const std::string& sql, CopyOutHandler& handler);

// A running `COPY … FROM STDIN`. Text may be cut anywhere.
class CopyIn {
 public:
  CopyIn(Connection& connection, const std::string& sql);
  CopyIn(const CopyIn&) = delete;
  CopyIn& operator=(const CopyIn&) = delete;
  ~CopyIn();  // not finished: the COPY is failed, so the server keeps nothing of it
  // Throws the server's Error as soon as it has come (a constraint, a full disk …).
  void write(ByteView text);
  // Ends the COPY; returns the number of rows that the server counted.
  uint64_t finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
