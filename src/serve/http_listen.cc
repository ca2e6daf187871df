#include "serve/http_listen.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>

#include "base/error.h"

namespace holdfast {
namespace {

// Files that the rest of the program may want to have open beside the connections.
constexpr rlim_t kOtherFiles = 512;
constexpr int kBacklog = 2048;  // connections that come in while the server is busy with others

}  // namespace

ListenAddress parse_listen_address(std::string_view text) {
  auto wrong = [&] {
    return Error(ErrorCode::invalid, fmt::format("'{}' is no address to listen on", text),
                 "write it like 127.0.0.1:8474 or [::1]:8474");
  };
  size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0) throw wrong();
  ListenAddress address;
  std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.find(':') != host.npos) throw wrong();
  address.host = host;
  auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (failed != std::errc() || end != port.data() + port.size() || address.port < 0 ||
      address.port > 65535)
    throw wrong();
  return address;
}

int allowed_connections(int wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  rlim_t needed = static_cast<rlim_t>(wanted) + kOtherFiles;
  if (limit.rlim_cur < needed) {
    rlimit raised = limit;
    raised.rlim_cur = std::min(needed, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  if (limit.rlim_cur >= needed) return wanted;
  return limit.rlim_cur > 2 * kOtherFiles ? static_cast<int>(limit.rlim_cur - kOtherFiles)
                                          : static_cast<int>(limit.rlim_cur / 2);
}

Fd listen_on(const std::string& address, int port) {
  std::string where = fmt::format("listen on {}:{}", address, port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int failed = getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0)
    throw Error(ErrorCode::invalid, fmt::format("{}: {}", where, gai_strerror(failed)));
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, freeaddrinfo);
  Fd listening(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listening.open()) throw system_error(where, errno);
  int on = 1;
  setsockopt(listening.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listening.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      listen(listening.get(), kBacklog) != 0) {
    if (errno == EADDRINUSE)
      throw Error(ErrorCode::exists, where + ": something else listens there",
                  "stop it, or choose another address or port");
    if (errno == EADDRNOTAVAIL)
      throw Error(ErrorCode::invalid, where + ": this machine does not have that address");
    throw system_error(where, errno);
  }
  return listening;
}

int port_of(int socket) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size) != 0)
    throw system_error("find out the port", errno);
  return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                           : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
}

}  // namespace holdfast
