// The Neon API as it is configured (NEON_API_HOST, NEON_API_KEY, NEON_PROJECT_ID), and what the
// commands that work through it share: reading points in time, choosing role and database.
// One thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/run.h"
#include "branch/compute_access.h"
#include "cli/config.h"
#include "neon/client.h"

namespace holdfast {

class ApiAccess {
 public:
  // Throws Error(invalid) without a key, or with an address that cannot be right. Nothing is asked
  // of the API yet.
  ApiAccess(const Config& config, const Run& run);
  neon::Client& client() { return *client_; }

 private:
  std::unique_ptr<HttpTransport> transport_;
  std::unique_ptr<neon::Waits> waits_;
  std::unique_ptr<neon::Client> client_;
};

// A time as users write it: RFC 3339 with a zone, to the millisecond. `origin` is said in errors.
UtcTime read_time(const std::string& text, const std::string& origin);
// An LSN as PostgreSQL writes it.
std::string read_lsn(const std::string& text, const std::string& origin);

// How to log in, with --role and --database or the only ones that there are.
LoginChoice login_choice(const Config& config);

}  // namespace holdfast
