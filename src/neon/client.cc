#include "neon/client.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/text.h"
#include "neon/pages.h"

namespace holdfast::neon {
namespace {

constexpr int kLooksAfterLoss = 3;  // before a request that has done nothing is sent again
constexpr int kSendsMax = 4;        // of a request whose answers are lost
constexpr size_t kProjectsPage = 400, kOperationsPage = 100;
constexpr milliseconds kPollFirst{200}, kPollMax{5000};

std::string query(const std::vector<std::pair<std::string, std::string>>& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters)
    if (!value.empty()) text += (text.empty() ? "?" : "&") + name + "=" + url_encoded(value);
  return text;
}

std::string failed_text(const Operation& operation) {
  return fmt::format("{} {}{}{}", printable(operation.action, 60), printable(operation.status, 20),
                     operation.error && !operation.error->empty() ? ": " : "",
                     printable(operation.error.value_or(""), 600));
}

}  // namespace

Client::Client(ClientSettings settings, HttpTransport& transport, Waits& waits, const Run& run)
    : caller_(std::move(settings.api), transport, waits, run),
      project_id_(std::move(settings.project_id)) {
  if (!project_id_.empty() && !is_id(project_id_))
    throw Error(ErrorCode::invalid,
                fmt::format("NEON_PROJECT_ID: '{}' cannot be an id", printable(project_id_, 80)),
                "ids are made of small letters, digits and dashes; it is the id, not the name");
}

// --- asking
// ---------------------------------------------------------------------------------------

std::string Client::in_project(const std::string& path) {
  return "/projects/" + url_encoded(project_id()) + path;
}

std::string Client::in_branch(const std::string& id, const std::string& path) {
  return in_project("/branches/" + url_encoded(id) + path);
}

Error Client::unreadable(const Error& error, const std::string& what) const {
  return Error(error.code(), fmt::format("{}: {}: {}", what, host(), error.what()),
               "see that NEON_API_HOST is the API's address with its path (…/api/v2)");
}

Changed Client::change(const std::string& method, const std::string& path, const std::string& body,
                       const std::string& what) {
  ApiAnswer answer = caller_.call({method, path, body, what});
  return answer.body.empty() ? Changed{} : read_as(answer, what, read_changed);
}

Changed Client::change_once(const ApiRequest& request, const ReadBack& read_back) {
  auto look = [&] { return with_context(request.what, read_back.look); };
  for (int sends = 1;; ++sends) {
    std::optional<ApiAnswer> answer;
    try {
      answer = caller_.call_once(request);
    } catch (const Error& error) {
      // An earlier one was done after all: ours, or one that the connection sent a second time.
      if (error.code() != ErrorCode::exists || (sends == 1 && !read_back.knows_ours)) throw;
      try {
        if (std::optional<Changed> done = look()) return std::move(*done);
      } catch (const Error& of_look) {
        if (sends > 1) throw;
      }
      throw;
    }
    if (answer) return read_as(*answer, request.what, read_changed);
    caller_.run().log.info(
        fmt::format("{}: the answer was lost, looking what became of it", request.what));
    for (int looks = 1; looks <= kLooksAfterLoss; ++looks) {
      caller_.back_off(looks);  // it may still be under way
      if (std::optional<Changed> done = look()) return std::move(*done);
    }
    if (sends == kSendsMax)
      throw Error(
          ErrorCode::unavailable,
          fmt::format("{}: {} does not answer, and nothing came of it", request.what, host()),
          "try again later");
  }
}

Changed Client::begin_remove(const std::string& path, const std::string& what,
                             const std::string& branch_id) {
  try {
    Changed changed = change("DELETE", path, {}, what);
    // Gone already: by an attempt whose answer was lost, perhaps, and that is still under way.
    if (changed.operations.empty() && !branch_id.empty())
      changed.operations = operations_in_flight(branch_id);
    return changed;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;  // gone: by an attempt whose answer was lost
    return {};
  }
}

void Client::remove(const std::string& path, const std::string& what,
                    const std::string& branch_id) {
  try {
    finish(begin_remove(path, what, branch_id));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;  // its operations went with it
  }
}

// --- project
// --------------------------------------------------------------------------------------

std::optional<Account> Client::account() {
  try {
    return get("/users/me", "look at the account", read_account);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found && error.code() != ErrorCode::denied) throw;
    return std::nullopt;
  }
}

std::vector<Project> Client::projects() {
  std::vector<Project> all;
  load_pages("list projects", [&](const std::string& cursor) {
    ProjectList page =
        get("/projects" + query({{"limit", std::to_string(kProjectsPage)}, {"cursor", cursor}}),
            "list projects", read_project_list);
    all.insert(all.end(), page.projects.begin(), page.projects.end());
    // The last page may have a cursor too.
    return page.projects.size() < kProjectsPage ? std::string() : page.cursor;
  });
  return all;
}

const std::string& Client::project_id() {
  if (!project_id_.empty()) return project_id_;
  std::vector<Project> found = projects();
  if (found.size() == 1 && is_id(found.front().id)) {
    project_id_ = found.front().id;
    return project_id_;
  }
  if (found.empty())
    throw Error(ErrorCode::not_found, fmt::format("{} shows this key no project", host()),
                "set NEON_PROJECT_ID if the key belongs to an organization");
  constexpr size_t kShownMax = 10;
  std::vector<std::string> ids;
  for (size_t i = 0; i < std::min(found.size(), kShownMax); ++i)
    ids.push_back(fmt::format("{} ({})", printable(found[i].id, 60), printable(found[i].name, 60)));
  throw Error(ErrorCode::invalid, fmt::format("the key sees {} projects", found.size()),
              fmt::format("choose one with NEON_PROJECT_ID: {}{}", fmt::join(ids, ", "),
                          found.size() > kShownMax ? ", …" : ""));
}

Project Client::project() {
  return get(in_project(""), "show the project", read_project);
}

Project Client::update_project(const ProjectUpdateRequest& request) {
  const std::string what = "change the project";
  return read_as(caller_.call({"PATCH", in_project(""), write_project_update(request), what}), what,
                 read_project);
}

std::optional<History> Client::history() {
  try {
    return get(in_project("/history"), "look at the history", read_history);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    return std::nullopt;
  }
}

// --- operations
// -----------------------------------------------------------------------------------

std::vector<Operation> Client::operations(size_t most) {
  std::vector<Operation> all;
  load_pages("list operations", [&](const std::string& cursor) {
    size_t limit = std::min(kOperationsPage, most - all.size());
    OperationList page = get(
        in_project("/operations" + query({{"limit", std::to_string(limit)}, {"cursor", cursor}})),
        "list operations", read_operation_list);
    all.insert(all.end(), page.operations.begin(), page.operations.end());
    bool last = page.operations.size() < limit || all.size() >= most;
    return last ? std::string() : page.cursor;
  });
  return all;
}

Operation Client::operation(const std::string& id) {
  return get(in_project("/operations/" + url_encoded(id)), "look at an operation", read_operation);
}

void Client::finish(const Changed& changed, std::chrono::seconds at_most) {
  double began = caller_.run().clock.monotonic_seconds();
  milliseconds pause = kPollFirst;
  for (Operation operation : changed.operations) {
    while (!operation.ended()) {
      double seconds = caller_.run().clock.monotonic_seconds() - began;
      if (seconds > static_cast<double>(at_most.count()))
        throw Error(
            ErrorCode::unavailable,
            fmt::format("{} still runs after {} (operation {})", printable(operation.action, 60),
                        human_seconds(seconds), printable(operation.id, 60)),
            "it goes on by itself: holdfast branch list shows what became of it");
      caller_.wait(pause);
      pause = std::min(pause * 3 / 2, kPollMax);
      operation = this->operation(operation.id);
    }
    if (operation.failed())
      throw Error(ErrorCode::internal, failed_text(operation),
                  "holdfast branch list shows what there is now; the engine's log says more");
  }
}

std::vector<Operation> Client::operations_in_flight(const std::string& branch_id) {
  std::vector<Operation> found;
  for (const Operation& operation : operations(kOperationsPage))
    if (operation.branch_id == branch_id && !operation.ended()) found.push_back(operation);
  std::reverse(found.begin(), found.end());  // in their order
  return found;
}

}  // namespace holdfast::neon
