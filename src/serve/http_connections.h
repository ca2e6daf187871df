// Which connections are open and how long each may take for what it is doing: the part of the HTTP
// server that lets no client hold a connection for ever, however it drips.
//
// libmicrohttpd's own time-out starts anew with every byte. Here each phase (a request coming in,
// an answer going out, nothing) has an absolute end, at which the socket is shut down; the library
// notices and closes it. When connections run short, those that wait for a client get less.
//
// Thread-safe. A socket's number is only used while its connection is known here, and the server
// forgets it before it closes the socket: so a number that has been given to another file is never
// shut down.
#pragma once

#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

namespace holdfast {

class HttpConnections {
 public:
  using Duration = std::chrono::milliseconds;

  struct Limits {
    size_t connections_max = 0;
    Duration request{0};  // from a request's first byte (or the connection's start) to its last
    Duration idle{0};     // between requests
  };

  struct Connection {
    int socket = -1;
    std::chrono::steady_clock::time_point since, until;
    bool ends = true;  // false while a handler works for it
  };
  using Handle = std::list<Connection>::iterator;

  explicit HttpConnections(const Limits& limits);

  Handle opened(int socket);
  void closed(Handle connection);

  void request_begun(Handle connection);  // its first line is in
  void request_whole(Handle connection);
  void answering(Handle connection, size_t bytes);
  void answered(Handle connection);  // the next request may come

  size_t count() const;

 private:
  void reap(std::stop_token stop);
  void reap_once(std::chrono::steady_clock::time_point now);
  void set(Handle connection, Duration within);

  const Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::list<Connection> connections_;  // guarded by mutex_, as is everything in it
  std::jthread reaper_;                // last: it uses what is above
};

}  // namespace holdfast
