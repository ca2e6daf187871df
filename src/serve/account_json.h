// The bodies of the routes that are about the account and not about the engine, and of the one
// route that is not Neon's (history). JSON without its heavy header.
#pragma once

#include <string>
#include <vector>

#include "engine/branch_storage.h"
#include "serve/api_keys.h"

namespace holdfast {

std::string write_user();              // CurrentUserInfoResponse
std::string write_no_organizations();  // OrganizationsResponse
std::string write_auth_details();      // AuthDetailsResponse
std::string write_region(const std::string& region_id);
std::string write_key_list(const std::vector<ApiKey>& keys);
std::string write_new_key(const NewApiKey& key);  // the only place where the clear key is shown
std::string write_revoked_key(const ApiKey& key);

// {"windows":[{"timeline","from_lsn","to_lsn","from","to"}],"receiving":{…}}
std::string write_history(const std::vector<Window>& windows, const StorageHealth& health);

}  // namespace holdfast
