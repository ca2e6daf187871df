// Messages of the frontend/backend protocol, straight on a connection's socket while libpq sits
// idle (PostgreSQL manual, "Message Flow" and "Message Formats"). For copy_stream.cc only.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "pg/connection.h"

namespace holdfast {

// Bytes to and from the socket, through the TLS session where there is one. libpq's sockets never
// block; waiting is done here.
class WireSocket {
 public:
  // Throws Error(unsupported) for a GSSAPI-encrypted connection, whose keys libpq does not share.
  explicit WireSocket(Connection& connection);

  // Sends everything. While the socket is full, messages of the server are let in through
  // `on_readable`, so that neither side waits for the other for ever.
  template <typename OnReadable>
  void send(ByteView bytes, OnReadable&& on_readable) {
    while (!bytes.empty()) {
      size_t sent = send_some(bytes);
      bytes = bytes.subspan(sent);
      if (sent == 0 && wait(true)) on_readable();
    }
  }
  // Receives at least one byte, waiting for it. Throws Error(unavailable) when the server is gone.
  size_t receive(uint8_t* out, size_t size);
  // Receives what is there; 0 if nothing is.
  size_t receive_available(uint8_t* out, size_t size);

 private:
  size_t send_some(ByteView bytes);  // 0: would block
  bool wait(bool for_write);         // true: readable
  [[noreturn]] void lost(const char* what);

  Connection& connection_;
  int fd_;
  SSL* ssl_;
};

// Takes messages apart as bytes arrive. A message's body may be consumed in parts (CopyData) or
// whole.
class WireReader {
 public:
  explicit WireReader(WireSocket& socket);

  // Waits for the next message: its type byte. Its body must be consumed before the next call.
  char next();
  uint32_t body_left() const { return body_left_; }
  // The next bytes of the body, at most what has arrived; waits for one at least. Valid until the
  // next call.
  ByteView body_part();
  // The whole rest of the body. Throws Error(corrupt) above `bytes_max`.
  std::string body(uint32_t bytes_max = 1 << 20);
  // Whether a message has begun to arrive, without waiting.
  bool poll();

 private:
  void fill();

  WireSocket& socket_;
  std::vector<uint8_t> buffer_;
  size_t begin_ = 0, end_ = 0;
  uint32_t body_left_ = 0;
};

// 'Q': a simple query.
std::string encode_query(const std::string& sql);

// The Error that an ErrorResponse body says.
Error decode_error(const std::string& body);

}  // namespace holdfast
