#include "branch/compute_access.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr std::chrono::hours kScratchLifetime{1};
// A compute that was asked for answers within seconds; in the cloud a cold one may take longer.
constexpr double kColdStartSecondsMax = 90;
constexpr std::chrono::milliseconds kColdStartPoll{500};
constexpr int kColdStartConnectSeconds = 15;

// The preferred name, or the only one.
std::string choose(const std::string& preferred, const std::vector<std::string>& names,
                   const char* what, const char* flag, const std::string& branch) {
  if (std::find(names.begin(), names.end(), preferred) != names.end()) return preferred;
  if (names.size() == 1) return names.front();
  if (names.empty())
    throw Error(ErrorCode::not_found, fmt::format("branch {} shows no {}", branch, what),
                fmt::format("name one with {}", flag));
  throw Error(ErrorCode::invalid, fmt::format("branch {} has several {}s", branch, what),
              fmt::format("choose one with {}: {}", flag,
                          printable(fmt::format("{}", fmt::join(names, ", ")))));
}

// "20261128T140722123Z": several in one run must differ.
std::string scratch_suffix(const Clock& clock) {
  static std::atomic<unsigned> made{0};
  std::string time = format_rfc3339(clock.now());
  std::erase_if(time, [](char c) { return c == '-' || c == ':' || c == '.'; });
  return fmt::format("{}-{}", time, ++made);
}

// What is asked by `ask` is asked and answered even if the user asks to stop meanwhile, so that it
// is known what there is to undo. It is not waited for: that can be broken off.
template <typename Ask>
auto to_the_end(neon::Client& client, Ask ask) {
  neon::Client::ToTheEnd guard(client);
  return ask();
}

void warn_of(const Run& run, const std::string& what, const Error& error) {
  run.log.warning(fmt::format("{}: {}", what, error.what()));
}

}  // namespace

std::optional<neon::Endpoint> writer_of(const std::string& branch_id,
                                        const std::vector<neon::Endpoint>& endpoints) {
  for (const neon::Endpoint& endpoint : endpoints)
    if (endpoint.branch_id == branch_id && endpoint.type == "read_write") return endpoint;
  return std::nullopt;
}

BranchLogin branch_login(neon::Client& client, const neon::Branch& branch,
                         const LoginChoice& choice) {
  std::string name = printable(branch.name, 80);
  BranchLogin login;
  login.role = choice.role;
  if (login.role.empty()) {
    std::vector<std::string> names;
    for (const neon::Role& role : client.roles(branch.id))
      if (role.authentication_method != "no_login") names.push_back(role.name);
    login.role = choose(choice.preferred_role, names, "role", "--role", name);
  }
  login.database = choice.database;
  if (login.database.empty()) {
    std::vector<std::string> names;
    for (const neon::Database& database : client.databases(branch.id))
      names.push_back(database.name);
    login.database = choose(choice.preferred_database, names, "database", "--database", name);
  }
  login.url = client.connection_uri(branch.id, login.database, login.role, choice.pooled);
  return login;
}

neon::Endpoint ready_endpoint(neon::Client& client, const neon::Branch& branch, bool make_one) {
  if (std::optional<neon::Endpoint> endpoint =
          writer_of(branch.id, client.endpoints_of(branch.id))) {
    if (endpoint->current_state == "active") return *endpoint;
    client.finish(to_the_end(client, [&] { return client.start_endpoint(endpoint->id); }));
    return client.endpoint(endpoint->id);
  }
  if (!make_one)
    throw Error(ErrorCode::not_found,
                fmt::format("branch {} has no compute", printable(branch.name, 80)),
                fmt::format("give it one: holdfast branch start {}", printable(branch.name, 80)));
  neon::EndpointRequest request;
  request.branch_id = branch.id;
  neon::Changed made = to_the_end(client, [&] { return client.create_endpoint(request); });
  client.finish(made);
  if (made.endpoints.empty())
    throw Error(ErrorCode::internal, fmt::format("{} made no compute", client.host()));
  return client.endpoint(made.endpoints.front().id);
}

Connection await_connection(const Conninfo& conninfo, const Run& run) {
  double deadline = run.clock.monotonic_seconds() + kColdStartSecondsMax;
  while (true) {
    run.check_stop();
    try {
      return Connection::open(conninfo, "holdfast", kColdStartConnectSeconds);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable || run.clock.monotonic_seconds() > deadline) throw;
    }
    std::this_thread::sleep_for(kColdStartPoll);
  }
}

ComputeAccess::ComputeAccess(neon::Client& client, neon::Branch branch, const LoginChoice& choice,
                             const Run& run)
    : client_(client), branch_(std::move(branch)), run_(run) {
  std::optional<neon::Endpoint> found = writer_of(branch_.id, client.endpoints_of(branch_.id));
  before_ = !found                             ? Before::none
            : found->current_state == "active" ? Before::running
                                               : Before::asleep;
  try {
    endpoint_id_ = ready_endpoint(client, branch_, /*make_one=*/true).id;
    run.check_stop();
    conninfo_ = Conninfo::parse(branch_login(client, branch_, choice).url.reveal());
    await_connection(conninfo_, run);
  } catch (...) {
    try {
      undo_start();
    } catch (const Error& error) {
      warn_of(run_,
              fmt::format("the compute of branch {} is left running", printable(branch_.name, 80)),
              error);
    }
    throw;
  }
}

// Where the start failed or was broken off, it has to be looked up what came of it.
void ComputeAccess::undo_start() {
  if (before_ == Before::running) return;
  neon::Client::ToTheEnd guard(client_);
  if (endpoint_id_.empty()) {
    std::optional<neon::Endpoint> found = writer_of(branch_.id, client_.endpoints_of(branch_.id));
    bool as_before = before_ == Before::asleep && found && found->current_state == "idle" &&
                     !found->pending_state;
    if (!found || as_before) return;
    endpoint_id_ = found->id;
  }
  close();
}

ComputeAccess::~ComputeAccess() {
  try {
    close();
  } catch (const Error& error) {
    warn_of(run_,
            fmt::format("the compute of branch {} is left running", printable(branch_.name, 80)),
            error);
  }
}

void ComputeAccess::close() {
  if (endpoint_id_.empty() || before_ == Before::running) return;
  neon::Client::ToTheEnd guard(client_);
  if (before_ == Before::none)
    client_.delete_endpoint(endpoint_id_);
  else
    client_.finish(client_.suspend_endpoint(endpoint_id_));
  endpoint_id_.clear();
}

ScratchBranch::ScratchBranch(neon::Client& client, const std::string& purpose, const Point& point,
                             const Run& run)
    : client_(client), run_(run) {
  run.check_stop();
  neon::BranchCreateRequest request;
  request.name = fmt::format("{}-{}", purpose, scratch_suffix(run.clock));
  request.parent_id = point.parent_id;
  request.parent_timestamp = point.at;
  request.parent_lsn = point.lsn;
  request.expires_at = run.clock.now() + kScratchLifetime;
  request.annotation[kPurposeAnnotation] = kOfScratch;
  request.endpoints.emplace_back();
  neon::Changed made = to_the_end(client, [&] { return client.create_branch(request); });
  if (!made.branch)
    throw Error(ErrorCode::internal, fmt::format("{} made no branch", client.host()));
  branch_ = *made.branch;
  made_ = true;
  try {
    client.finish(made);
  } catch (...) {
    try {
      remove();
    } catch (const Error& error) {
      warn_of(run_, fmt::format("branch {} is left over", branch_.name), error);
    }
    throw;
  }
}

ScratchBranch::~ScratchBranch() {
  try {
    remove();
  } catch (const Error& error) {
    warn_of(run_, fmt::format("branch {} is left over and expires by itself", branch_.name), error);
  }
}

void ScratchBranch::remove() {
  neon::Client::ToTheEnd guard(client_);
  client_.finish(begin_removal());
}

neon::Changed ScratchBranch::begin_removal() {
  if (!std::exchange(made_, false)) return {};
  neon::Client::ToTheEnd guard(client_);
  return client_.begin_delete_branch(branch_.id);
}

}  // namespace holdfast
