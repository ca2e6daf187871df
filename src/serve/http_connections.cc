#include "serve/http_connections.h"

#include <sys/socket.h>

#include <algorithm>

namespace holdfast {
namespace {

using std::chrono::steady_clock;

// How late a connection may be cut; a pass over thousands takes microseconds.
constexpr HttpConnections::Duration kPassInterval{200};
// What a waiting connection gets when fewer than a quarter of all are left. A client on any real
// network sends a request of this API within it.
constexpr HttpConnections::Duration kPressedWait{3'000};
// An answer may take this long, and a second more for each so many bytes: slower than any modem.
constexpr HttpConnections::Duration kAnswerTime{30'000};
constexpr size_t kAnswerBytesPerSecond = 8 << 10;

}  // namespace

HttpConnections::HttpConnections(const Limits& limits)
    : limits_(limits), reaper_([this](std::stop_token stop) { reap(std::move(stop)); }) {}

HttpConnections::Handle HttpConnections::opened(int socket) {
  std::lock_guard lock(mutex_);
  connections_.push_back({});
  auto connection = std::prev(connections_.end());
  connection->socket = socket;
  set(connection, limits_.request);
  return connection;
}

void HttpConnections::closed(Handle connection) {
  std::lock_guard lock(mutex_);
  connections_.erase(connection);
}

void HttpConnections::request_begun(Handle connection) {
  std::lock_guard lock(mutex_);
  // Never later than it was: a first request's time runs from the connection's start.
  auto until = connection->until;
  set(connection, limits_.request);
  connection->until = std::min(connection->until, until);
}

void HttpConnections::request_whole(Handle connection) {
  std::lock_guard lock(mutex_);
  connection->ends = false;
}

void HttpConnections::answering(Handle connection, size_t bytes) {
  std::lock_guard lock(mutex_);
  set(connection, kAnswerTime + std::chrono::seconds(bytes / kAnswerBytesPerSecond));
  connection->since = connection->until;  // an answer on its way is not cut short by others
}

void HttpConnections::answered(Handle connection) {
  std::lock_guard lock(mutex_);
  set(connection, limits_.idle + limits_.request);
}

size_t HttpConnections::count() const {
  std::lock_guard lock(mutex_);
  return connections_.size();
}

void HttpConnections::set(Handle connection, Duration within) {
  connection->since = steady_clock::now();
  connection->until = connection->since + within;
  connection->ends = true;
}

void HttpConnections::reap(std::stop_token stop) {
  for (;;) {
    std::unique_lock lock(mutex_);
    if (stopped_.wait_for(lock, stop, kPassInterval, [] { return false; }) || stop.stop_requested())
      return;
    reap_once(steady_clock::now());
  }
}

void HttpConnections::reap_once(steady_clock::time_point now) {
  bool pressed = connections_.size() >= limits_.connections_max - limits_.connections_max / 4;
  for (Connection& connection : connections_) {
    if (!connection.ends) continue;
    bool late = now >= connection.until || (pressed && now >= connection.since + kPressedWait);
    if (!late) continue;
    shutdown(connection.socket, SHUT_RDWR);
    connection.ends = false;  // once is enough
  }
}

}  // namespace holdfast
