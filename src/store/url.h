// Whether what is sent to an address can be read on the way. Beside host_of_url (http.h). Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/text.h"
#include "store/http.h"

namespace holdfast {

// host_of_url without its port: "s3.other.example", "[::1]".
inline std::string bare_host_of_url(std::string_view url) {
  std::string host = host_of_url(url);
  size_t colon = host.rfind(':');
  bool ipv6_without_port = host.ends_with("]");
  return colon == std::string::npos || ipv6_without_port ? host : host.substr(0, colon);
}

// By TLS, or not beyond this machine.
inline bool is_safe_on_the_way(std::string_view url) {
  return !url.starts_with("http://") || is_loopback(bare_host_of_url(url));
}

}  // namespace holdfast
