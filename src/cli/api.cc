#include "cli/api.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

// The name that is asked for, or the only one.
std::string choose(const std::string& asked, const std::vector<std::string>& names,
                   const char* what, const char* flag, const std::string& branch) {
  if (!asked.empty()) return asked;
  if (names.size() == 1) return names.front();
  if (names.empty())
    throw Error(ErrorCode::not_found, fmt::format("branch {} shows no {}", branch, what),
                fmt::format("name one with {}", flag));
  throw Error(ErrorCode::invalid, fmt::format("branch {} has several {}s", branch, what),
              fmt::format("choose one with {}: {}", flag,
                          printable(fmt::format("{}", fmt::join(names, ", ")))));
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

neon::Endpoint ready_endpoint(neon::Client& client, const neon::Branch& branch, bool make_one) {
  for (const neon::Endpoint& endpoint : client.endpoints_of(branch.id)) {
    if (endpoint.type != "read_write") continue;
    if (endpoint.current_state == "active") return endpoint;
    client.finish(client.start_endpoint(endpoint.id));
    return client.endpoint(endpoint.id);
  }
  if (!make_one)
    throw Error(ErrorCode::not_found,
                fmt::format("branch {} has no compute", printable(branch.name, 80)),
                fmt::format("give it one: holdfast branch start {}", printable(branch.name, 80)));
  neon::EndpointRequest request;
  request.branch_id = branch.id;
  neon::Changed made = client.create_endpoint(request);
  client.finish(made);
  if (made.endpoints.empty())
    throw Error(ErrorCode::internal, fmt::format("{} made no compute", client.host()));
  return client.endpoint(made.endpoints.front().id);
}

BranchLogin branch_login(neon::Client& client, const neon::Branch& branch, const Config& config) {
  std::string name = printable(branch.name, 80);
  BranchLogin login;
  login.role = config.text("branch_role");
  login.database = config.text("branch_database");
  std::vector<std::string> names;
  if (login.role.empty())
    for (const neon::Role& role : client.roles(branch.id))
      if (role.authentication_method != "no_login") names.push_back(role.name);
  login.role = choose(login.role, names, "role", "--role", name);
  names.clear();
  if (login.database.empty())
    for (const neon::Database& database : client.databases(branch.id))
      names.push_back(database.name);
  login.database = choose(login.database, names, "database", "--database", name);
  login.url =
      client.connection_uri(branch.id, login.database, login.role, config.flag("branch_pooled"));
  return login;
}

}  // namespace holdfast
