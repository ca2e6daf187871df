#include "cli/recovery.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/backups.h"
#include "cli/keys.h"
#include "cli/option_table.h"

namespace holdfast {
namespace {

// What a hook sees: what we were started with, but nothing of what is holdfast's own (its secrets)
// and nothing that would lead libpq to another database.
std::map<std::string, std::string> hook_environment(const Config& config) {
  std::map<std::string, std::string> environment = config.environment();
  for (const Option& option : option_table()) environment.erase(option.variable);
  std::erase_if(environment, [](const auto& entry) { return entry.first.starts_with("PG"); });
  return environment;
}

Conninfo server_of(const Config& config, const std::string& database) {
  Conninfo server = with_context(config.setting("to").origin,
                                 [&] { return Conninfo::parse(config.secret("to").reveal()); });
  std::string named = server.get("dbname");
  if (named.empty() || named == database || named == "postgres" || named == "template1")
    return server;
  throw Error(
      ErrorCode::invalid,
      fmt::format("the server's URL names database {}, but {} is what is recovered",
                  printable(named), printable(database)),
      fmt::format("leave it out, or recover under that name: --database {}", printable(named)));
}

}  // namespace

RecoverOptions configured_recovery(const Config& config, const Backup& backup) {
  RecoverOptions options;
  options.database = config.text("database");
  if (options.database.empty() && backup.manifest) options.database = backup.manifest->database;
  options.server = server_of(config, options.database);
  options.ignore_missing = config.flag("ignore_missing");
  options.checks = configured_checks(config);
  options.jobs = static_cast<int>(config.number("jobs"));
  options.read_back = config.text("read_back") == "counts" ? ReadBack::counts : ReadBack::full;
  options.client_folder = config.text("pg_bindir");
  options.keys = configured_keys(config);
  options.hook_limit_seconds = static_cast<double>(config.number("hook_timeout"));
  options.hook_environment = hook_environment(config);
  for (const char* name : {"post_restore", "cutover"}) {
    std::string command = config.text(name);
    bool wanted = std::string_view(name) != "cutover" || !config.flag("no_cutover");
    if (!command.empty() && wanted) options.hooks.push_back({name, command});
  }
  return options;
}

}  // namespace holdfast
