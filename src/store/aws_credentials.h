// Who we are to AWS and to servers that speak its language.
//
// A seam: the store asks for credentials before it signs a request and never keeps them, so that
// temporary ones may change while an upload runs. Where they come from (environment, files, web
// identity, container, instance) is the source's business. Both methods may be called by any
// thread.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/secret.h"

namespace holdfast {

struct AwsCredentials {
  std::string access_key_id;
  Secret secret_access_key;
  Secret session_token;  // empty: permanent credentials
  std::optional<UtcTime> expires{};
};

class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  // Credentials that are good now, fetched or from memory. Throws Error(denied) if there are none,
  // Error(unavailable) if their service does not answer.
  virtual AwsCredentials get() = 0;
  // The server says that what get() returned has expired: the next get() fetches anew.
  virtual void forget() = 0;
};

}  // namespace holdfast
