#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>

#include "base/text.h"
#include "engine/core.h"
#include "engine/ids.h"

namespace holdfast {
namespace {

// Starting a server is mostly waiting for it and for disks; ten computes are started at once.
constexpr int kWorkers = 12;
constexpr std::chrono::seconds kHouseTick{1};

}  // namespace

EngineCore::EngineCore(const EngineSettings& settings, EngineParts parts, const Clock& clock,
                       Log& log, State::Probe probe)
    : settings_(settings),
      clock_(clock),
      log_(log),
      probe_(std::move(probe)),
      tools_(std::move(parts.tools)),
      certificate_file_(std::move(parts.certificate_file)),
      key_file_(std::move(parts.key_file)),
      lock_(std::move(parts.lock)),
      managed_(std::move(parts.managed)),
      state_(std::move(parts.state)),
      source_(std::move(parts.source)),
      storage_(std::move(parts.storage)),
      computes_(std::move(parts.computes)),
      queue_(std::make_unique<OperationQueue>(*state_, static_cast<OperationWork&>(*this), clock,
                                              log)) {}

EngineCore::~EngineCore() {
  housekeeper_ = {};  // stops and joins
  queue_.reset();
}

void EngineCore::start(bool background) {
  make_folders(folder_of(""));
  make_first_records();
  look_at_source();
  reconcile();
  queue_->start(kWorkers);
  if (!background) return;
  housekeeper_ = std::jthread([this](std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, stop, kHouseTick, [] { return false; }) && !stop.stop_requested())
      tick();
  });
}

Draft EngineCore::draft() {
  Draft draft{state_->lock(), {}, {}, {}};
  draft.project = state_->tables().project;
  return draft;
}

neon::Operation EngineCore::enqueue(Draft& draft, const OperationRequest& request) {
  neon::Operation operation = queue_->add(draft.change, draft.project, request);
  draft.operations.push_back(operation);
  return operation;
}

void EngineCore::commit(Draft& draft) {
  if (!draft.operations.empty()) draft.change.put(draft.project);
  state_->apply(std::move(draft.change));
  draft.change = Change();
  draft.lock.unlock();
  if (!draft.operations.empty()) queue_->notify();
}

neon::Changed EngineCore::settle(neon::Changed changed, std::chrono::milliseconds patience) {
  changed.operations = queue_->wait(changed.operations, patience);
  auto lock = state_->lock();
  if (changed.branch)
    if (const BranchRecord* now = state_->tables().branch(changed.branch->id))
      changed.branch = now->shown;
  for (neon::Endpoint& endpoint : changed.endpoints)
    if (const EndpointRecord* now = state_->tables().endpoint(endpoint.id)) endpoint = shown(*now);
  return changed;
}

std::string EngineCore::new_id(std::string_view prefix) const {
  const Tables& tables = state_->tables();
  return make_id(prefix, [&](const std::string& id) {
    return tables.branches.contains(id) || tables.endpoints.contains(id) ||
           tables.snapshots.contains(id) || tables.gone.contains(id);
  });
}

const BranchRecord& EngineCore::need_branch(const Tables& tables, const std::string& id) {
  if (const BranchRecord* branch = tables.branch(id)) return *branch;
  throw Error(ErrorCode::not_found, "branch not found", "branches are listed by `branches list`");
}

const EndpointRecord& EngineCore::need_endpoint(const Tables& tables, const std::string& id) {
  if (const EndpointRecord* endpoint = tables.endpoint(id)) return *endpoint;
  throw Error(ErrorCode::not_found, "endpoint not found");
}

const BranchRecord& EngineCore::source_branch(const Tables& tables) {
  for (const auto& [id, branch] : tables.branches)
    if (branch.source) return branch;
  throw Error(ErrorCode::corrupt, "engine state: the source has no branch");
}

const EndpointRecord* EngineCore::writer_of(const Tables& tables, const std::string& branch_id) {
  for (const auto& [id, endpoint] : tables.endpoints)
    if (!endpoint.deleted && endpoint.shown.branch_id == branch_id &&
        endpoint.shown.type == "read_write")
      return &endpoint;
  return nullptr;
}

// Where clients find the source: as its URL says; a socket's folder is of use on this machine only.
std::string EngineCore::source_host() const {
  std::string host = settings_.source.get("host"), port = settings_.source.get("port");
  if (host.empty()) host = settings_.source.get("hostaddr");
  if (host.empty() || host.starts_with('/')) host = settings_.advertised_host;
  return host + ":" + (port.empty() ? "5432" : port);
}

void EngineCore::make_first_records() {
  Draft draft = this->draft();
  const Tables& tables = state_->tables();
  UtcTime now = clock_.now();
  neon::Project& project = draft.project.shown;
  bool first = project.id.empty();
  if (first) {
    project.id = new_id("");
    project.platform_id = "self-hosted";
    project.region_id = "self-hosted-local";
    project.owner_id = "holdfast";
    project.name = settings_.project_name;
    project.history_retention_seconds = settings_.history_retention_seconds;
    project.created_at = project.updated_at = now;
  }
  project.proxy_host = settings_.advertised_host;
  if (tools_.major > 0) project.pg_version = tools_.major;
  draft.change.put(draft.project);

  if (first) {
    BranchRecord main;
    main.source = main.started = true;
    main.line = kMainLine;
    main.shown.id = new_id("br");
    main.shown.project_id = project.id;
    main.shown.name = "main";
    main.shown.is_default = true;
    main.shown.created_at = main.shown.updated_at = main.shown.state_changed_at = now;

    EndpointRecord endpoint;
    endpoint.source = true;
    endpoint.shown.id = new_id("ep");
    endpoint.shown.project_id = project.id;
    endpoint.shown.region_id = project.region_id;
    endpoint.shown.branch_id = main.shown.id;
    endpoint.shown.current_state = "active";
    endpoint.shown.host = source_host();
    endpoint.shown.suspend_timeout_seconds = -1;
    endpoint.shown.created_at = endpoint.shown.updated_at = now;
    draft.change.put(std::move(main));
    draft.change.put(std::move(endpoint));
  } else {
    for (const auto& [id, endpoint] : tables.endpoints) {
      EndpointRecord updated = endpoint;
      updated.shown.host = endpoint.source
                               ? source_host()
                               : fmt::format("{}:{}", settings_.advertised_host, endpoint.port);
      if (updated.shown.host != endpoint.shown.host) draft.change.put(std::move(updated));
    }
  }
  commit(draft);
}

void EngineCore::reconcile() {
  adopt_computes();
  remove_stray_folders();
}

// What the servers really do, whatever was last written about them; and their lines for storage.
void EngineCore::adopt_computes() {
  std::vector<EndpointRecord> endpoints;
  std::vector<BranchRecord> branches;
  bool restoring = false;
  {
    auto lock = state_->lock();
    for (const auto& [id, endpoint] : state_->tables().endpoints) endpoints.push_back(endpoint);
    for (const auto& [id, branch] : state_->tables().branches) branches.push_back(branch);
    restoring = !state_->tables().journals.empty();
  }
  // A line begins on another one, which storage must know first.
  std::set<std::string> known = {kMainLine};
  for (bool more = true; more;) {
    more = false;
    for (const BranchRecord& branch : branches) {
      if (!branch.started || known.contains(branch.line) || !known.contains(branch.point.line))
        continue;
      storage_->add_line({branch.line, folder_of(branch.line) + "/data/pg_wal", branch.point});
      known.insert(branch.line);
      more = true;
    }
  }

  for (EndpointRecord& endpoint : endpoints) {
    if (endpoint.deleted) continue;
    bool wanted = endpoint.shown.current_state == "active";
    bool running;
    if (endpoint.source) {
      // In the midst of an in-place restore, its operation knows what to do.
      if (!source_->managed() || restoring) continue;
      running = source_->running();
    } else {
      std::string line = endpoint.shown.id;
      for (const BranchRecord& branch : branches)
        if (branch.shown.id == endpoint.shown.branch_id && endpoint.shown.type == "read_write")
          line = branch.line;
      running = computes_->make(compute_settings(endpoint, line))->state() == ComputeState::running;
    }
    Draft draft = this->draft();
    if (!queue_->open(endpoint.shown.branch_id).empty()) continue;  // they will tell
    endpoint.shown.current_state = running ? "active" : "idle";
    endpoint.shown.pending_state.reset();
    draft.change.put(endpoint);
    if (wanted && !running) start_operation(draft, endpoint);
    commit(draft);
  }
}

// Of computes whose records never came to be, or that were there for one question.
void EngineCore::remove_stray_folders() {
  std::set<std::string> known;
  {
    auto lock = state_->lock();
    for (const auto& [id, branch] : state_->tables().branches) known.insert(branch.line);
    for (const auto& [id, endpoint] : state_->tables().endpoints) known.insert(id);
    for (int64_t sequence : state_->tables().open_operations) {
      const auto& arguments = state_->tables().operations.at(sequence).arguments;
      if (auto line = arguments.find("line"); line != arguments.end()) known.insert(line->second);
    }
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder_of(""))) {
    std::string name = entry.path().filename().string();
    if (known.contains(name)) continue;
    ComputeSettings settings;
    settings.folder = entry.path().string();
    computes_->make(settings)->remove();
    log_.info(fmt::format("removed {}, which no branch has", settings.folder));
  }
}

neon::Project EngineCore::project() const {
  auto lock = state_->lock();
  neon::Project project = state_->tables().project.shown;
  for (const auto& [id, branch] : state_->tables().branches)
    if (!branch.deleted) project.synthetic_storage_size += branch.shown.logical_size.value_or(0);
  return project;
}

neon::Project EngineCore::update_project(const std::optional<std::string>& name,
                                         const std::optional<int64_t>& history_retention_seconds) {
  constexpr int64_t kRetentionMax = 30 * 86400;  // as the API has it
  if (name && (name->empty() || name->size() > 256 || !is_utf8(*name)))
    throw Error(ErrorCode::invalid, "a project's name has 1 to 256 characters");
  if (history_retention_seconds &&
      (*history_retention_seconds < 0 || *history_retention_seconds > kRetentionMax))
    throw Error(ErrorCode::invalid,
                fmt::format("history_retention_seconds is from 0 to {}", kRetentionMax));
  Draft draft = this->draft();
  neon::Project& project = draft.project.shown;
  if (name) project.name = *name;
  if (history_retention_seconds) project.history_retention_seconds = *history_retention_seconds;
  project.updated_at = clock_.now();
  draft.change.put(draft.project);
  neon::Project result = project;
  commit(draft);
  return result;
}

std::vector<neon::Operation> EngineCore::operations(size_t limit, const std::string& cursor) const {
  auto lock = state_->lock();
  const Tables& tables = state_->tables();
  auto at = tables.operations.end();
  if (!cursor.empty()) {
    auto found = tables.operation_by_id.find(cursor);
    if (found == tables.operation_by_id.end())
      throw Error(ErrorCode::invalid, "the cursor names no operation", "list from the start again");
    at = tables.operations.find(found->second);
  }
  std::vector<neon::Operation> result;
  while (at != tables.operations.begin() && result.size() < limit) {
    --at;
    result.push_back(at->second.shown);
  }
  return result;
}

neon::Operation EngineCore::operation(const std::string& id) const {
  auto lock = state_->lock();
  if (const OperationRecord* operation = state_->tables().operation(id)) return operation->shown;
  throw Error(ErrorCode::not_found, "operation not found");
}

std::vector<neon::Operation> EngineCore::wait(const std::vector<neon::Operation>& operations,
                                              std::chrono::milliseconds at_most) {
  return queue_->wait(operations, at_most);
}

}  // namespace holdfast
