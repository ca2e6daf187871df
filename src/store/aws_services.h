// The services that hand out credentials: STS, a container's agent, an instance's metadata. Each
// function asks once, with a few more attempts where trouble passes, and remembers nothing.
//
// Throws Error(denied) for a refusal, Error(unavailable) where nobody answers, Error(invalid) where
// the set-up cannot be right, Error(corrupt) for an answer that is none. Tokens that prove who we
// are go into bodies and headers only. One thread at a time per AwsServices.
#pragma once

#include <optional>
#include <string>

#include "store/aws_chain.h"

namespace holdfast {

struct RoleRequest {
  std::string role_arn;
  std::string session_name;      // empty: "holdfast"
  std::string external_id;       // for AssumeRole; often empty
  std::string duration_seconds;  // empty: AWS's own choice, an hour
};

class AwsServices {
 public:
  // All outlive it.
  AwsServices(const AwsChainOptions& options, HttpTransport& transport, const Clock& clock)
      : options_(options), transport_(transport), clock_(clock) {}

  // The token is read from its file each time, for it is renewed there.
  AwsCredentials with_web_identity(const RoleRequest& role, const std::string& token_file);
  AwsCredentials assume_role(const RoleRequest& role, const AwsCredentials& as);
  // Nothing if the environment does not name an agent.
  std::optional<AwsCredentials> of_container();
  // Nothing if there is no such service, it has no role for us, or it is switched off.
  std::optional<AwsCredentials> of_instance();

 private:
  HttpResponse send(HttpRequest request, const std::string& service, int attempts = 3);
  std::string variable(const char* name) const;
  std::string sts_url(std::string& region) const;
  AwsCredentials ask_sts(const std::string& url, const std::string& form, HttpHeaders headers,
                         const RoleRequest& role);
  std::string container_url() const;
  std::string container_token() const;

  const AwsChainOptions& options_;
  HttpTransport& transport_;
  const Clock& clock_;
};

}  // namespace holdfast
