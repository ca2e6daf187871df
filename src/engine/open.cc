// Engine::open: the real parts, put together.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "engine/certificate.h"
#include "engine/core.h"
#include "engine/plain_storage.h"

namespace holdfast {
namespace {

void check_settings(const EngineSettings& settings) {
  if (::geteuid() == 0)
    throw Error(ErrorCode::unsupported, "the engine starts PostgreSQL servers, which refuse root",
                "run it as an ordinary user (postgres, say)");
  if (settings.port_first < 1 || settings.port_last > 65535 ||
      settings.port_first > settings.port_last)
    throw Error(ErrorCode::invalid, "ports is no range from 1 to 65535");
  if (settings.computes_max < 0) throw Error(ErrorCode::invalid, "computes_max is not below 0");
  if (settings.managed && !settings.managed->data_folder.starts_with('/'))
    throw Error(ErrorCode::invalid, "data_dir is an absolute path");
}

// Folders become parts of restore_commands and of other servers' settings.
std::string absolute(const std::string& folder) {
  std::string path = std::filesystem::absolute(folder).lexically_normal().string();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// The source's major: as it says, or, where it cannot be asked, as it was.
int source_major(SourceServer& source, const State& state) {
  try {
    return source.version() / 10000;
  } catch (const Error& error) {
    auto lock = state.lock();
    int known = state.tables().project.shown.pg_version;
    if (known == 0) throw error.within("the source's version");
    return known;
  }
}

}  // namespace

std::unique_ptr<Engine> Engine::open(const EngineSettings& given, const Run& run) {
  check_settings(given);
  EngineSettings settings = given;
  settings.storage_folder = absolute(given.storage_folder);
  settings.work_folder = absolute(given.work_folder);
  if (settings.managed) {
    std::string& data = settings.managed->data_folder;
    while (data.size() > 1 && data.ends_with('/')) data.pop_back();
  }
  make_folders(settings.work_folder);

  EngineParts parts;
  parts.lock =
      std::make_unique<FileLock>(settings.work_folder + "/engine.lock", "the engine's work folder");
  parts.state = State::open(settings.work_folder + "/engine.db");
  std::vector<ClientTools> tools = find_client_tools(settings.pg_bindir);
  bool restoring, stopped = false;
  {
    auto lock = parts.state->lock();
    const Tables& tables = parts.state->tables();
    restoring = !tables.journals.empty();
    for (const auto& [id, endpoint] : tables.endpoints)
      stopped = stopped || (endpoint.source && endpoint.shown.current_state == "idle");
  }
  // A managed source's life is the engine's: it runs unless somebody suspended it, or an in-place
  // restore is under way, which then knows what to start.
  if (settings.managed && !restoring && !stopped) {
    if (tools.empty()) throw Error(ErrorCode::unsupported, "no PostgreSQL programs are installed");
    ClientTools own = tools.back();
    std::string version = read_file(settings.managed->data_folder + "/PG_VERSION", 64);
    for (const ClientTools& candidate : tools)
      if (candidate.major == std::atoi(version.c_str())) own = candidate;
    make_source_server(settings.source, &*settings.managed, own, settings.work_folder)->start(run);
  }
  auto probe = make_source_server(settings.source, nullptr, {}, settings.work_folder);
  parts.tools = choose_client_tools(tools, source_major(*probe, *parts.state));

  Certificate certificate =
      ensure_certificate(settings.work_folder, settings.advertised_host, run.clock);
  parts.certificate_file = certificate.certificate_file;
  parts.key_file = certificate.key_file;
  parts.computes = make_compute_factory(parts.tools);
  PlainStorageSettings storage;
  storage.folder = settings.storage_folder;
  storage.source = settings.source;
  storage.tools = parts.tools;
  parts.storage = std::make_unique<PlainStorage>(storage, run.clock, run.log);
  parts.managed = settings.managed ? std::make_unique<ManagedSource>(*settings.managed) : nullptr;
  parts.source =
      make_source_server(settings.source, parts.managed.get(), parts.tools, settings.work_folder);

  auto core = std::make_unique<EngineCore>(settings, std::move(parts), run.clock, run.log);
  core->start(true);
  return core;
}

}  // namespace holdfast
