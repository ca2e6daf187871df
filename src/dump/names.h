// The names of a dump's objects, made and parsed in one place:
//   <database>_<YYYY-MM-DDTHH-MM-SS-mmmZ>.dump            the archive
//   ….manifest.json   ….globals.sql   ….claim   ….proof-<level>-<time>.json
// Names stay what operators' scripts expect. Characters of the database's name that a store's name
// cannot hold are written as %XX.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"

namespace holdfast {

std::string backup_id(const std::string& database, UtcTime at);
std::string archive_name(const std::string& id);
std::string manifest_name(const std::string& id);
std::string globals_name(const std::string& id);
std::string claim_name(const std::string& id);
std::string proof_name(const std::string& id, const std::string& level, UtcTime at);

// The id of `object_name` if it ends in `suffix` (".manifest.json") and what is before is an id.
std::optional<std::string> id_of(const std::string& object_name, const std::string& suffix);

}  // namespace holdfast
