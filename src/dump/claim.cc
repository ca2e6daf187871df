#include "dump/claim.h"

#include <utility>

#include "base/error.h"
#include "dump/catalog.h"
#include "dump/names.h"

namespace holdfast {

bool stands(ObjectStore& store, const std::string& name) {
  try {
    store.head(name);
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return false;
    throw;
  }
}

Claim::Claim(ObjectStore& store, const std::string& id, const std::string& machine,
             std::vector<std::string> names)
    : store_(store), id_(id), names_(std::move(names)) {
  for (const std::string& name : names_) refuse_if_taken(name);
  write_object(store_, claim_name(id_), as_bytes(claim_content(id_, machine)));
  // Another machine's run may have claimed the id, finished, and given its claim back in between.
  try {
    refuse_if_taken(names_.front());
  } catch (const Error&) {
    store_.remove(claim_name(id_));
    throw;
  }
}

void Claim::refuse_if_taken(const std::string& name) const {
  if (stands(store_, name))
    throw Error(ErrorCode::exists, name + " exists already in " + store_.location(),
                "see what is there: holdfast list");
}

Claim::~Claim() {
  if (kept_) return;
  try {
    for (const std::string& name : names_) store_.remove(name);
    store_.remove(claim_name(id_));
  } catch (const Error&) {
  }
}

void Claim::keep() {
  kept_ = true;
  store_.remove(claim_name(id_));
}

std::unique_ptr<Claim> claim_new_id(ObjectStore& store, const std::string& database, UtcTime at,
                                    const std::string& machine) {
  for (int tried = 1;; ++tried, at += std::chrono::milliseconds(1)) {
    std::string id = backup_id(database, at);
    std::vector<std::string> names = {manifest_name(id)};
    for (std::string& name : claimed_names(id)) names.push_back(std::move(name));
    try {
      return std::make_unique<Claim>(store, id, machine, std::move(names));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::exists || tried == kNamesTried) throw;
    }
  }
}

}  // namespace holdfast
