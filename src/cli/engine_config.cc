#include "cli/engine_config.h"

#include <fmt/format.h>
#include <limits.h>
#include <unistd.h>

#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "serve/http_listen.h"

namespace holdfast {
namespace {

constexpr int kPortMax = 65535;

Error wrong(const Setting& setting, const std::string& message, const std::string& hint) {
  return Error(ErrorCode::invalid, fmt::format("{}: {}", setting.origin, message), hint);
}

// -1 if it is none.
int port_in(std::string_view text) {
  int port = -1;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  bool sound =
      error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= kPortMax;
  return sound ? port : -1;
}

// Absolute, so that it means the same to every process of the engine.
std::string folder_of(const Config& config, std::string_view option) {
  std::string path = config.text(option);
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (path.starts_with('/')) return path;
  char here[PATH_MAX] = {};
  if (::getcwd(here, sizeof here) == nullptr)
    throw wrong(config.setting(option), "the folder is not absolute, and where we are is gone",
                "write it from / on");
  return fmt::format("{}/{}", here, path);
}

bool is_within(const std::string& inner, const std::string& outer) {
  return inner == outer || inner.starts_with(outer == "/" ? outer : outer + "/");
}

// Each is emptied or replaced by rules of its own: none may hold another.
void check_apart(const Config& config, const EngineSettings& settings) {
  struct Place {
    const char* option;
    std::string folder;
  };
  std::vector<Place> places = {{"engine_storage_dir", settings.storage_folder},
                               {"engine_work_dir", settings.work_folder}};
  if (settings.managed) places.push_back({"engine_data_dir", settings.managed->data_folder});
  for (const Place& inner : places)
    for (const Place& outer : places)
      if (&inner != &outer && is_within(inner.folder, outer.folder))
        throw wrong(
            config.setting(inner.option),
            fmt::format("{} is within {}", printable(inner.folder), printable(outer.folder)),
            "give storage, work and data folder places of their own, beside each other");
}

void read_ports(const Config& config, EngineSettings& settings) {
  const Setting& setting = config.setting("engine_ports");
  std::string text = config.text("engine_ports");
  size_t dash = text.find('-');
  int first = port_in(std::string_view(text).substr(0, dash));
  int last = dash == std::string::npos ? -1 : port_in(std::string_view(text).substr(dash + 1));
  if (first < 0 || last < first)
    throw wrong(setting, fmt::format("{} are no ports", shown(text)), "write them as 15500-15999");
  settings.port_first = first, settings.port_last = last;
}

void read_managed(const Config& config, EngineSettings& settings) {
  if (config.given("engine_data_dir")) {
    settings.managed =
        ManagedSource{folder_of(config, "engine_data_dir"), config.text("engine_start_command"),
                      config.text("engine_stop_command")};
  }
  for (const char* option : {"engine_start_command", "engine_stop_command"})
    if (config.given(option) && !settings.managed)
      throw wrong(config.setting(option), "the engine manages no source",
                  "name its data folder too: data_dir in [engine]");
  if (config.given("engine_start_command") != config.given("engine_stop_command"))
    throw wrong(config.setting(config.given("engine_start_command") ? "engine_start_command"
                                                                    : "engine_stop_command"),
                "a command to start the source and one to stop it belong together",
                "give both, or none: then it is pg_ctl");
}

}  // namespace

EngineSettings engine_settings(const Config& config) {
  EngineSettings settings;
  settings.source = config.source_conninfo();
  settings.storage_folder = folder_of(config, "engine_storage_dir");
  settings.work_folder = engine_work_folder(config);
  settings.listen_address = with_context(config.setting("engine_listen").origin, [&] {
    return parse_listen_address(config.text("engine_listen")).host;
  });
  settings.advertised_host = config.given("engine_advertise_host")
                                 ? config.text("engine_advertise_host")
                                 : settings.listen_address;
  bool everywhere = settings.advertised_host == "0.0.0.0" || settings.advertised_host == "::";
  if (everywhere)
    throw wrong(config.setting("engine_listen"),
                "it listens everywhere, and no client can connect to that name",
                "say under which name computes are reached: advertise_host in [engine]");
  read_ports(config, settings);
  read_managed(config, settings);
  check_apart(config, settings);
  settings.project_name = config.text("engine_project_name");
  settings.history_retention_seconds = config.number("engine_history_retention");
  settings.snapshot_interval_seconds = config.number("engine_snapshot_interval");
  settings.computes_max = static_cast<int>(config.number("engine_computes_max"));
  settings.branches_max = static_cast<size_t>(config.number("engine_branches_max"));
  settings.suspend_timeout_seconds = config.number("engine_suspend_timeout");
  settings.roles = config.list("engine_roles");
  settings.databases = config.list("engine_databases");
  settings.pg_bindir = config.text("pg_bindir");
  return settings;
}

WalLagLimits wal_lag_limits(const Config& config) {
  return {config.number("engine_wal_lag_seconds"),
          static_cast<uint64_t>(config.number("engine_wal_lag_bytes"))};
}

std::string engine_work_folder(const Config& config) {
  return folder_of(config, "engine_work_dir");
}

}  // namespace holdfast
