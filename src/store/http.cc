#include "store/http.h"

#include <algorithm>
#include <charconv>

#include "store/s3_xml.h"

namespace holdfast {

using std::chrono::milliseconds;

milliseconds retry_after(const HttpResponse& response, UtcTime now) {
  std::string text = response.header("retry-after");
  int64_t seconds = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (!text.empty() && error == std::errc() && end == text.data() + text.size())
    return std::chrono::seconds(std::clamp<int64_t>(seconds, 0, 86400));
  if (std::optional<UtcTime> at = parse_http_time(text))
    return std::clamp<milliseconds>(*at - now, milliseconds(0), std::chrono::hours(24));
  return milliseconds(0);
}

std::string host_of_url(std::string_view url) {
  size_t start = url.find("://");
  start = start == std::string_view::npos ? 0 : start + 3;
  std::string_view host = url.substr(start, url.find_first_of("/?#", start) - start);
  size_t at = host.rfind('@');
  return std::string(at == std::string_view::npos ? host : host.substr(at + 1));
}

}  // namespace holdfast
