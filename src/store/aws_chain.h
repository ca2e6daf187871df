// Finds out who we are to AWS, as AWS's own tools do: the first of these that is set up counts.
//   1. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN (not if a profile is asked for
//      by option)
//   2. the profile that is asked for: by option, or AWS_PROFILE
//   3. web identity: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN (GitHub Actions, EKS)
//   4. the profile `default`
//   5. the container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI (ECS, EKS Pod Identity)
//   6. the instance's metadata (IMDSv2), unless AWS_EC2_METADATA_DISABLED
// A profile holds keys, a role (source_profile, credential_source or web_identity_token_file) or a
// credential_process. AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE say where the files are.
//
// One that is set up but does not work is an error, not a reason to try the next: else a backup
// would be stored under an identity that nobody chose. Credentials are kept, and fetched anew five
// minutes before they expire; if that fails, what is still good goes on. Thread-safe: one thread
// fetches, others wait. Errors say what was looked at and never show a value.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "store/aws_credentials.h"
#include "store/aws_profile.h"
#include "store/http.h"

namespace holdfast {

struct AwsChainOptions {
  Environment environment;  // the whole of it: files are found by HOME, a process inherits it
  std::string profile;      // of the option; empty: AWS_PROFILE
  std::string region;       // STS is asked in it; empty: aws_defaults
  // Where the services are; tests put others here. Empty: AWS_ENDPOINT_URL_STS, else AWS's of the
  // region.
  std::string sts_endpoint;
  std::string container_endpoint = "http://169.254.170.2";
  std::string metadata_endpoint = "http://169.254.169.254";
  // How to wait between attempts; a seam for tests. Empty: really waits.
  std::function<void(std::chrono::milliseconds)> pause;
};

// `transport` and `clock` outlive the source. Nothing is looked at before the first get().
std::unique_ptr<CredentialSource> make_aws_credentials(const AwsChainOptions& options,
                                                       HttpTransport& transport,
                                                       const Clock& clock);

// Keys that are known from the start, for tests and tools.
std::unique_ptr<CredentialSource> make_fixed_credentials(const AwsCredentials& credentials);

}  // namespace holdfast
