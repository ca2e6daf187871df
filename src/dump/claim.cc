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
  for (const std::string& name : names_)
    if (stands(store_, name))
      throw Error(ErrorCode::exists, name + " exists already in " + store_.location(),
                  "see what is there: holdfast list");
  write_object(store_, claim_name(id_), as_bytes(claim_content(id_, machine)));
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

}  // namespace holdfast
