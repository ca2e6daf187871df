#include "cli/api.h"

#include <fmt/format.h>

#include "base/text.h"
#include "pg/lsn.h"

namespace holdfast {
namespace {

Secret api_key(const Config& config) {
  bool text = config.given("neon_api_key"), file = config.given("neon_api_key_file");
  if (text && file)
    throw Error(ErrorCode::invalid,
                fmt::format("both {} and {} are given", config.setting("neon_api_key").origin,
                            config.setting("neon_api_key_file").origin),
                "keep one of the two");
  return file ? config.secret_in_file("neon_api_key_file") : config.secret("neon_api_key");
}

}  // namespace

ApiAccess::ApiAccess(const Config& config, const Run& run) {
  neon::ClientSettings settings;
  settings.api.base_url = config.text("neon_api_host");
  settings.api.key = api_key(config);
  settings.project_id = config.text("neon_project_id");
  CurlOptions curl;
  curl.ca_file = config.text("neon_ca_file");
  curl.stop = run.stop;
  transport_ = make_curl_transport(curl);
  waits_ = neon::make_real_waits();
  client_ = std::make_unique<neon::Client>(std::move(settings), *transport_, *waits_, run);
}

UtcTime read_time(const std::string& text, const std::string& origin) {
  Error wrong(ErrorCode::invalid,
              fmt::format("{}: '{}' is not a time", origin, printable(text, 60)),
              "write it with its zone, as 2026-11-10T14:30:00Z or 2026-11-10T15:30:00.250+01:00");
  std::string written = text;
  if (written.size() > 10 && written[10] == ' ') written[10] = 'T';
  if (size_t dot = written.find('.'); dot != std::string::npos) {
    constexpr size_t kDigitsMax = 3;
    size_t end = written.find_first_not_of("0123456789", dot + 1);
    std::string fraction = written.substr(dot + 1, end - dot - 1);
    fraction.resize(fraction.find_last_not_of('0') + 1);
    if (fraction.size() > kDigitsMax)  // cut, it would leave out the very commit that is meant
      throw Error(ErrorCode::invalid,
                  fmt::format("{}: '{}' is finer than a millisecond", origin, printable(text, 60)),
                  "write the next millisecond, or name the LSN: --lsn");
  }
  try {
    return neon::parse_time(written);
  } catch (const Error&) {
    throw wrong;
  }
}

std::string read_lsn(const std::string& text, const std::string& origin) {
  return with_context(origin, [&] { return format_lsn(parse_lsn(text)); });
}

LoginChoice login_choice(const Config& config) {
  return {config.text("branch_role"), config.text("branch_database"), config.flag("branch_pooled"),
          "", ""};
}

}  // namespace holdfast
