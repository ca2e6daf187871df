// Client: branches.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "neon/client.h"
#include "neon/pages.h"

namespace holdfast::neon {
namespace {

constexpr size_t kBranchesPage = 100;  // what Neon's own command line asks for
// Written into a branch that we make, so that after a lost answer it is known as ours.
constexpr const char* kRequestAnnotation = "holdfast-request";

std::string named(const std::string& step, const std::string& name) {
  return fmt::format("{} {}", step, printable(name, 80));
}

}  // namespace

bool is_branch_id(std::string_view text) {
  std::vector<std::string> parts = split(text, '-');
  if (parts.size() != 4 || parts[0] != "br") return false;
  return std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
    return !part.empty() && std::all_of(part.begin(), part.end(), [](unsigned char c) {
      return std::islower(c) != 0 || std::isdigit(c) != 0;
    });
  });
}

std::vector<Branch> Client::branches(const std::string& search) {
  std::vector<Branch> all;
  std::set<std::string> known;  // a branch that changes meanwhile moves to another page
  load_pages("list branches", [&](const std::string& cursor) {
    std::string path = fmt::format("/branches?limit={}", kBranchesPage);
    if (!search.empty()) path += "&search=" + url_encoded(search);
    if (!cursor.empty()) path += "&cursor=" + url_encoded(cursor);
    BranchList page = get(in_project(path), "list branches", read_branch_list);
    std::string next = page.branches.empty() ? std::string() : page.next;
    for (Branch& branch : page.branches)
      if (known.insert(branch.id).second) all.push_back(std::move(branch));
    return next;
  });
  return all;
}

size_t Client::branch_count(const std::string& search) {
  std::string path = "/branches/count";
  if (!search.empty()) path += "?search=" + url_encoded(search);
  return get(in_project(path), "count branches", read_branch_count);
}

Branch Client::branch(const std::string& id) {
  return get(in_branch(id), named("show branch", id), read_branch);
}

std::optional<Branch> Client::branch_called(const std::string& name) {
  for (const Branch& branch : branches(name))
    if (branch.name == name) return branch;
  return std::nullopt;
}

Branch Client::find_branch(const std::string& said) {
  if (is_branch_id(said)) {
    try {
      return branch(said);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;  // it may be a name that looks like an id
    }
  }
  if (std::optional<Branch> found = branch_called(said)) return *found;
  throw Error(ErrorCode::not_found, fmt::format("there is no branch '{}'", printable(said, 80)),
              "holdfast branch list shows the branches");
}

Branch Client::default_branch() {
  for (const Branch& branch : branches())
    if (branch.is_default) return branch;
  throw Error(ErrorCode::not_found, "the project has no default branch",
              "name the branch: holdfast branch list");
}

Changed Client::as_changed(const Branch& branch) {
  Changed changed;
  changed.branch = branch;
  changed.endpoints = endpoints_of(branch.id);
  changed.operations = operations_in_flight(branch.id);
  return changed;
}

Changed Client::create_branch(const BranchCreateRequest& request) {
  constexpr size_t kNonceBytes = 8;
  BranchCreateRequest asked = request;
  std::string nonce = random_hex(kNonceBytes);
  if (!asked.name)
    asked.name = "branch-" + format_name_time(caller_.run().clock.now()) + "-" + nonce;
  asked.annotation[kRequestAnnotation] = nonce;
  ApiRequest post{"POST", in_project("/branches"), write_branch_create(asked),
                  named("create branch", *asked.name)};
  return change_once(
      post,
      {[&]() -> std::optional<Changed> {
         std::optional<Branch> found = branch_called(*asked.name);
         if (!found) return std::nullopt;
         Branch made = branch(found->id);  // lists come without annotations
         auto mark = made.annotation.find(kRequestAnnotation);
         if (mark == made.annotation.end() || mark->second != nonce)
           throw Error(
               ErrorCode::exists,
               fmt::format("create branch {}: the answer was lost, and there is a branch of that "
                           "name now that is not known to be ours",
                           printable(*asked.name, 80)),
               fmt::format("look at it: holdfast branch show {}", made.id));
         return as_changed(made);
       },
       true});
}

Changed Client::update_branch(const std::string& id, const BranchUpdateRequest& request) {
  return change("PATCH", in_branch(id), write_branch_update(request), named("change branch", id));
}

void Client::delete_branch(const std::string& id) {
  remove(in_branch(id), named("delete branch", id), id);
}

Changed Client::begin_delete_branch(const std::string& id) {
  return begin_remove(in_branch(id), named("delete branch", id));
}

Changed Client::set_default_branch(const std::string& id) {
  return change("POST", in_branch(id, "/set_as_default"), {}, named("make default branch", id));
}

Changed Client::restore_branch(const std::string& id, const BranchRestoreRequest& request) {
  if (request.preserve_under_name.value_or("").empty())
    throw Error(ErrorCode::invalid, "a restore without a name for the old state would lose it",
                "say one: --preserve-under-name NAME");
  const std::string& kept = *request.preserve_under_name;
  // Else a branch that was there before would be taken for the kept state.
  if (branch_called(kept))
    throw Error(
        ErrorCode::exists,
        fmt::format("restore branch {}: branch {} already exists, so the old state cannot be "
                    "kept under that name",
                    printable(id, 80), printable(kept, 80)),
        "choose another --preserve-under-name");
  ApiRequest post{"POST", in_branch(id, "/restore"), write_branch_restore(request),
                  named("restore branch", id)};
  return change_once(post, {[&]() -> std::optional<Changed> {
                       if (!branch_called(kept)) return std::nullopt;
                       return as_changed(branch(id));
                     }});
}

std::string Client::schema(const std::string& id, const std::string& database,
                           const std::optional<std::string>& lsn,
                           const std::optional<UtcTime>& time) {
  std::string path = "/schema?db_name=" + url_encoded(database);
  if (lsn) path += "&lsn=" + url_encoded(*lsn);
  if (time) path += "&timestamp=" + url_encoded(format_rfc3339(*time));
  return get(in_branch(id, path), named("schema of branch", id), read_schema);
}

std::string Client::compare_schema(const std::string& id, const std::string& base_id,
                                   const std::string& database) {
  return get(in_branch(id, "/compare_schema?db_name=" + url_encoded(database) +
                               "&base_branch_id=" + url_encoded(base_id)),
             named("compare schema of branch", id), read_schema_diff);
}

}  // namespace holdfast::neon
