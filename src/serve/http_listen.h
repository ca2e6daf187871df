// The socket that the HTTP server listens on, and how many connections this process can have.
#pragma once

#include <string>
#include <string_view>

#include "base/file.h"

namespace holdfast {

struct ListenAddress {
  std::string host;  // without brackets
  int port = 0;
};

// `127.0.0.1:8474`, `[::1]:8474`, `localhost:8474`. Throws Error(invalid).
ListenAddress parse_listen_address(std::string_view text);

// `wanted`, or as many as this process may open files for; raises its soft limit for that.
int allowed_connections(int wanted);

// `port` 0 is any free one. Throws Error(exists) if something else listens there, Error(invalid)
// for an address that this machine does not have, Error(denied).
Fd listen_on(const std::string& address, int port);

int port_of(int socket);

}  // namespace holdfast
