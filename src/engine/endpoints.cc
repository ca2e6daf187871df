#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/text.h"
#include "engine/core.h"

namespace holdfast {
namespace {

constexpr double kUnitsMax = 56;                // as the API has it
constexpr int64_t kSuspendSecondsMax = 604800;  // likewise

bool port_is_free(const std::string& address, int port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int yes = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<uint16_t>(port));
  // Where the address is a name or of another family, PostgreSQL itself will find out.
  if (::inet_pton(AF_INET, address.c_str(), &where.sin_addr) != 1)
    where.sin_addr.s_addr = htonl(INADDR_ANY);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0;
}

bool counts(const EndpointRecord& endpoint) {
  return !endpoint.source && !endpoint.deleted &&
         (endpoint.shown.current_state == "active" || endpoint.shown.pending_state == "active");
}

}  // namespace

neon::Endpoint EngineCore::shown(const EndpointRecord& endpoint) const {
  return endpoint.shown;
}

std::vector<neon::Endpoint> EngineCore::endpoints(
    const std::optional<std::string>& branch_id) const {
  auto lock = state_->lock();
  const Tables& tables = state_->tables();
  if (branch_id) need_branch(tables, *branch_id);
  std::vector<neon::Endpoint> result;
  for (const auto& [id, endpoint] : tables.endpoints)
    if (!endpoint.deleted && (!branch_id || endpoint.shown.branch_id == *branch_id))
      result.push_back(shown(endpoint));
  // The one that can be written to comes first, then the older.
  std::sort(result.begin(), result.end(), [](const neon::Endpoint& a, const neon::Endpoint& b) {
    if (a.type != b.type) return a.type > b.type;
    return a.created_at < b.created_at;
  });
  return result;
}

neon::Endpoint EngineCore::endpoint(const std::string& id) const {
  auto lock = state_->lock();
  return shown(need_endpoint(state_->tables(), id));
}

// Nothing is suspended to make room: whoever needs a compute decides which other one can go.
void EngineCore::check_computes_left(const Tables& tables, size_t more) const {
  if (more == 0) return;
  size_t active = 0;
  for (const auto& [id, endpoint] : tables.endpoints) active += counts(endpoint) ? 1 : 0;
  if (active + more > static_cast<size_t>(settings_.computes_max))
    throw Error(ErrorCode::violated,
                fmt::format("ACTIVE_ENDPOINTS_LIMIT_EXCEEDED: {} computes run, and no more than {} "
                            "may run at once",
                            active, settings_.computes_max),
                "suspend one (its branch stays as it is), or raise computes_max");
}

int EngineCore::free_port(const Tables& tables, std::set<int>& taken) const {
  std::set<int> used = taken;
  for (const auto& [id, endpoint] : tables.endpoints) used.insert(endpoint.port);
  {
    std::lock_guard lock(ports_mutex_);
    used.insert(lent_ports_.begin(), lent_ports_.end());
  }
  for (int port = settings_.port_first; port <= settings_.port_last; ++port) {
    if (used.contains(port) || !port_is_free(settings_.listen_address, port)) continue;
    taken.insert(port);
    return port;
  }
  throw Error(ErrorCode::violated,
              fmt::format("ENDPOINTS_LIMIT_EXCEEDED: no port from {} to {} is free",
                          settings_.port_first, settings_.port_last),
              "delete endpoints, or widen ports");
}

LentPort::LentPort(EngineCore& core) : core_(core) {
  auto lock = core_.state_->lock();
  std::set<int> taken;
  number_ = core_.free_port(core_.state_->tables(), taken);
  std::lock_guard ports(core_.ports_mutex_);
  core_.lent_ports_.insert(number_);
}

LentPort::~LentPort() {
  std::lock_guard ports(core_.ports_mutex_);
  core_.lent_ports_.erase(number_);
}

void EngineCore::change_endpoint(EndpointRecord& endpoint, const neon::EndpointRequest& request) {
  neon::Endpoint& shown = endpoint.shown;
  if (request.name) {
    if (request.name->size() > 256 || printable(*request.name, 256) != *request.name)
      throw Error(ErrorCode::invalid, "an endpoint's name has at most 256 bytes");
    shown.name = *request.name;
  }
  double least = request.autoscaling_limit_min_cu.value_or(shown.autoscaling_limit_min_cu);
  double most =
      request.autoscaling_limit_max_cu.value_or(std::max(least, shown.autoscaling_limit_max_cu));
  if (!(least > 0) || !(most <= kUnitsMax) || least > most)
    throw Error(
        ErrorCode::invalid,
        fmt::format("autoscaling limits are above 0, at most {}, the least first", kUnitsMax));
  shown.autoscaling_limit_min_cu = least;
  shown.autoscaling_limit_max_cu = most;
  if (request.suspend_timeout_seconds) {
    int64_t seconds = *request.suspend_timeout_seconds;
    if (seconds < -1 || seconds > kSuspendSecondsMax)
      throw Error(ErrorCode::invalid,
                  fmt::format("suspend_timeout_seconds is -1 (never), 0 (the default), or up to {}",
                              kSuspendSecondsMax));
    shown.suspend_timeout_seconds = seconds;
  }
  if (request.disabled) shown.disabled = *request.disabled;
  for (const auto& [name, value] : request.pg_settings) shown.pg_settings[name] = value;
}

EndpointRecord EngineCore::new_endpoint(Draft& draft, const neon::EndpointRequest& request,
                                        const std::string& branch_id, std::set<int>& ports) const {
  if (request.type != "read_write" && request.type != "read_only")
    throw Error(ErrorCode::invalid, "an endpoint's type is read_write or read_only");
  EndpointRecord endpoint;
  neon::Endpoint& shown = endpoint.shown;
  shown.id = new_id("ep");
  shown.project_id = draft.project.shown.id;
  shown.region_id = draft.project.shown.region_id;
  shown.branch_id = branch_id;
  shown.type = request.type;
  shown.current_state = "init";
  shown.created_at = shown.updated_at = clock_.now();
  change_endpoint(endpoint, request);
  endpoint.port = free_port(state_->tables(), ports);
  shown.host = fmt::format("{}:{}", settings_.advertised_host, endpoint.port);
  draft.change.put(endpoint);
  return endpoint;
}

// Both put the endpoint with what is under way.
neon::Operation EngineCore::start_operation(Draft& draft, EndpointRecord endpoint) {
  endpoint.shown.pending_state = "active";
  endpoint.shown.updated_at = clock_.now();
  neon::Operation operation = enqueue(draft, {.action = "start_compute",
                                              .branch_id = endpoint.shown.branch_id,
                                              .endpoint_id = endpoint.shown.id,
                                              .queues = {endpoint.shown.branch_id},
                                              .arguments = {}});
  draft.change.put(std::move(endpoint));
  return operation;
}

neon::Operation EngineCore::suspend_operation(Draft& draft, EndpointRecord endpoint) {
  endpoint.shown.pending_state = "idle";
  endpoint.shown.updated_at = clock_.now();
  neon::Operation operation = enqueue(draft, {.action = "suspend_compute",
                                              .branch_id = endpoint.shown.branch_id,
                                              .endpoint_id = endpoint.shown.id,
                                              .queues = {endpoint.shown.branch_id},
                                              .arguments = {}});
  draft.change.put(std::move(endpoint));
  return operation;
}

neon::Changed EngineCore::create_endpoint(const neon::EndpointRequest& request) {
  neon::Changed changed;
  {
    Draft draft = this->draft();
    const Tables& tables = state_->tables();
    const BranchRecord& branch = need_branch(tables, request.branch_id);
    if (request.type == "read_write" && writer_of(tables, branch.shown.id))
      throw Error(ErrorCode::exists,
                  "read_write endpoint already exists: a branch has one, and any number of "
                  "read_only ones",
                  "use the endpoint that is there");
    std::set<int> ports;
    EndpointRecord endpoint = new_endpoint(draft, request, branch.shown.id, ports);
    if (!endpoint.shown.disabled) {
      check_computes_left(tables, 1);
      start_operation(draft, endpoint);
      endpoint.shown.pending_state = "active";
    }
    changed.endpoints.push_back(shown(endpoint));
    changed.operations = draft.operations;
    commit(draft);
  }
  return settle(std::move(changed), kCreatePatience);
}

neon::Changed EngineCore::update_endpoint(const std::string& id,
                                          const neon::EndpointRequest& request) {
  Draft draft = this->draft();
  EndpointRecord endpoint = need_endpoint(state_->tables(), id);
  if (!request.branch_id.empty() && request.branch_id != endpoint.shown.branch_id)
    throw Error(ErrorCode::unsupported, "an endpoint cannot be moved to another branch",
                "create one on that branch");
  if (endpoint.source &&
      (request.disabled || !request.pg_settings.empty() || request.autoscaling_limit_min_cu ||
       request.autoscaling_limit_max_cu || request.suspend_timeout_seconds))
    throw Error(ErrorCode::unsupported, "the source's settings are its own",
                "change them in its postgresql.conf");
  EndpointRecord before = endpoint;
  change_endpoint(endpoint, request);
  endpoint.shown.updated_at = clock_.now();
  draft.change.put(endpoint);
  bool runs = counts(endpoint);
  if (endpoint.shown.disabled && runs) {
    suspend_operation(draft, endpoint);
  } else if (runs &&
             (endpoint.shown.pg_settings != before.shown.pg_settings ||
              endpoint.shown.autoscaling_limit_max_cu != before.shown.autoscaling_limit_max_cu)) {
    // Sizes take effect when a server is started.
    enqueue(draft, {.action = "apply_config",
                    .branch_id = endpoint.shown.branch_id,
                    .endpoint_id = id,
                    .queues = {endpoint.shown.branch_id},
                    .arguments = {{"what", "restart"}}});
  }
  neon::Changed changed;
  changed.endpoints.push_back(shown(endpoint));
  changed.operations = draft.operations;
  commit(draft);
  return settle(std::move(changed), std::chrono::milliseconds(0));
}

std::optional<neon::Changed> EngineCore::delete_endpoint(const std::string& id) {
  Draft draft = this->draft();
  const Tables& tables = state_->tables();
  if (!tables.endpoint(id) && (tables.gone.contains(id) || tables.endpoints.contains(id)))
    return std::nullopt;
  EndpointRecord endpoint = need_endpoint(tables, id);
  if (endpoint.source)
    throw Error(ErrorCode::violated, "the source's own endpoint cannot be deleted");
  neon::Changed changed;
  changed.endpoints.push_back(shown(endpoint));
  endpoint.deleted = true;
  draft.change.put(GoneRecord{id, clock_.now()});
  draft.change.put(endpoint);
  enqueue(draft, {.action = "suspend_compute",
                  .branch_id = endpoint.shown.branch_id,
                  .endpoint_id = id,
                  .queues = {endpoint.shown.branch_id},
                  .arguments = {{"erase", "yes"}}});
  changed.operations = draft.operations;
  commit(draft);
  return changed;
}

neon::Changed EngineCore::start_endpoint(const std::string& id) {
  Draft draft = this->draft();
  const Tables& tables = state_->tables();
  const EndpointRecord& endpoint = need_endpoint(tables, id);
  if (endpoint.source && !source_->managed())
    throw Error(ErrorCode::unsupported, "the source is not the engine's to start or stop",
                "start it where it runs, or let the engine manage it (data_dir)");
  if (endpoint.shown.disabled)
    throw Error(ErrorCode::violated, "the endpoint is disabled", "enable it first");
  neon::Changed changed;
  changed.endpoints.push_back(shown(endpoint));
  if (!counts(endpoint) && !endpoint.source) check_computes_left(tables, 1);
  changed.operations.push_back(start_operation(draft, endpoint));
  commit(draft);
  return settle(std::move(changed), std::chrono::milliseconds(0));
}

neon::Changed EngineCore::suspend_endpoint(const std::string& id) {
  Draft draft = this->draft();
  const EndpointRecord& endpoint = need_endpoint(state_->tables(), id);
  if (endpoint.source && !source_->managed())
    throw Error(ErrorCode::unsupported, "the source is not the engine's to start or stop",
                "stop it where it runs, or let the engine manage it (data_dir)");
  neon::Changed changed;
  changed.endpoints.push_back(shown(endpoint));
  changed.operations.push_back(suspend_operation(draft, endpoint));
  commit(draft);
  return settle(std::move(changed), std::chrono::milliseconds(0));
}

neon::Changed EngineCore::restart_endpoint(const std::string& id) {
  Draft draft = this->draft();
  const Tables& tables = state_->tables();
  const EndpointRecord& endpoint = need_endpoint(tables, id);
  if (endpoint.source && !source_->managed())
    throw Error(ErrorCode::unsupported, "the source is not the engine's to start or stop",
                "restart it where it runs, or let the engine manage it (data_dir)");
  if (endpoint.shown.disabled)
    throw Error(ErrorCode::violated, "the endpoint is disabled", "enable it first");
  if (!counts(endpoint) && !endpoint.source) check_computes_left(tables, 1);
  neon::Changed changed;
  changed.endpoints.push_back(shown(endpoint));
  suspend_operation(draft, endpoint);
  start_operation(draft, endpoint);
  changed.operations = draft.operations;
  commit(draft);
  return settle(std::move(changed), std::chrono::milliseconds(0));
}

// There is no proxy that could start a suspended compute when a client comes. Whoever asks how to
// connect is about to: that starts it, unless it is disabled or there is no room.
void EngineCore::wake(const std::string& branch_id) {
  constexpr std::chrono::seconds kConnectPatience{8};  // below the 10 s of the least patient client
  std::vector<neon::Operation> open;
  {
    Draft draft = this->draft();
    const Tables& tables = state_->tables();
    const EndpointRecord* endpoint = writer_of(tables, branch_id);
    if (!endpoint || endpoint->source) return;
    size_t active = 0;
    for (const auto& [id, other] : tables.endpoints) active += counts(other) ? 1 : 0;
    open = queue_->open(branch_id);
    if (!counts(*endpoint) && !endpoint->shown.disabled &&
        active < static_cast<size_t>(settings_.computes_max))
      open.push_back(start_operation(draft, *endpoint));
    commit(draft);
  }
  queue_->wait(open, kConnectPatience);
}

}  // namespace holdfast
