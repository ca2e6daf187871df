#include "store/aws_chain.h"

#include <fmt/format.h>

#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"
#include "store/aws_answers.h"
#include "store/aws_services.h"

namespace holdfast {
namespace {

constexpr auto kRefreshBefore = std::chrono::minutes(5);
// After a refresh that failed, while the old credentials are still good.
constexpr auto kRefreshAgainAfter = std::chrono::seconds(30);
// A helper that waits for somebody at a keyboard would keep a nightly run for ever.
constexpr std::chrono::seconds kProcessTimeMax{60};
// A role by a role by a role: more are a mistake.
constexpr size_t kProfilesInARowMax = 8;

std::string value_of(const AwsSection& section, const char* name) {
  auto found = section.find(name);
  return found == section.end() ? std::string() : found->second;
}

// One walk down the chain; made anew for each, so that changed files are seen.
class Search {
 public:
  Search(const AwsChainOptions& options, HttpTransport& transport, const Clock& clock)
      : options_(options), services_(options, transport, clock) {}

  AwsCredentials run() {
    std::string profile =
        options_.profile.empty() ? aws_profile_name(options_.environment) : options_.profile;
    if (options_.profile.empty())
      if (auto found = of_environment()) return *found;
    if (!profile.empty()) return of_named_profile(profile);
    if (auto found = of_web_identity()) return *found;
    if (auto found = of_default_profile()) return *found;
    if (auto found = services_.of_container()) return *found;
    looked("no container's");
    if (auto found = services_.of_instance()) return *found;
    looked(variable("AWS_EC2_METADATA_DISABLED") == "true" ? "instance metadata is switched off"
                                                           : "no instance's");
    throw Error(
        ErrorCode::denied, fmt::format("no AWS credentials: {}", fmt::join(looked_at_, "; ")),
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile by AWS_PROFILE");
  }

 private:
  std::string variable(const char* name) const {
    auto found = options_.environment.find(name);
    return found == options_.environment.end() ? std::string() : found->second;
  }
  void looked(std::string what) { looked_at_.push_back(std::move(what)); }
  const AwsProfiles& profiles() {
    if (!profiles_) profiles_ = AwsProfiles::load(options_.environment);
    return *profiles_;
  }

  std::optional<AwsCredentials> of_environment() {
    std::string id = variable("AWS_ACCESS_KEY_ID"), secret = variable("AWS_SECRET_ACCESS_KEY");
    if (id.empty() != secret.empty())
      throw Error(ErrorCode::invalid,
                  fmt::format("AWS_{} is set, but AWS_{} is not",
                              id.empty() ? "SECRET_ACCESS_KEY" : "ACCESS_KEY_ID",
                              id.empty() ? "ACCESS_KEY_ID" : "SECRET_ACCESS_KEY"),
                  "set both or none");
    looked("AWS_ACCESS_KEY_ID is not set");
    if (id.empty()) return std::nullopt;
    return plain(id, secret, variable("AWS_SESSION_TOKEN"), "AWS_ACCESS_KEY_ID");
  }

  // Values out of files often end in a line break, which would break a header line.
  static AwsCredentials plain(const std::string& id, const std::string& secret,
                              const std::string& token, const std::string& where) {
    AwsCredentials found{std::string(trim(id)), Secret(std::string(trim(secret))),
                         Secret(std::string(trim(token)))};
    for (char c : found.access_key_id + found.session_token.reveal())
      if (c <= ' ' || c > '~')
        throw Error(ErrorCode::invalid,
                    fmt::format("{}: the key or the token holds what no key has", where));
    return found;
  }

  std::optional<AwsCredentials> of_web_identity() {
    std::string file = variable("AWS_WEB_IDENTITY_TOKEN_FILE"), role = variable("AWS_ROLE_ARN");
    looked("AWS_WEB_IDENTITY_TOKEN_FILE is not set");
    if (file.empty()) return std::nullopt;
    if (role.empty())
      throw Error(ErrorCode::invalid, "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not",
                  "set both or none");
    return services_.with_web_identity({role, variable("AWS_ROLE_SESSION_NAME"), {}, {}}, file);
  }

  AwsCredentials of_named_profile(const std::string& name) {
    if (auto found = of_profile(name)) return *found;
    throw Error(ErrorCode::denied, fmt::format("profile {} has no credentials", printable(name)),
                fmt::format("see {}", profiles().files()));
  }

  std::optional<AwsCredentials> of_default_profile() {
    std::optional<AwsCredentials> found;
    if (profiles().find("default")) found = of_profile("default");
    looked(fmt::format("no profile 'default' with credentials in {}", profiles().files()));
    return found;
  }

  std::optional<AwsCredentials> of_profile(const std::string& name) {
    std::optional<AwsSection> section = profiles().find(name);
    if (!section)
      throw Error(ErrorCode::denied,
                  fmt::format("no profile {} in {}", printable(name), profiles().files()),
                  "'aws configure list-profiles' shows those that are there");
    return with_context(fmt::format("profile {}", printable(name)), [&] {
      if (!value_of(*section, "role_arn").empty()) return of_role(name, *section);
      return without_role(*section);
    });
  }

  std::optional<AwsCredentials> of_role(const std::string& name, const AwsSection& section) {
    if (!in_progress_.insert(name).second || in_progress_.size() > kProfilesInARowMax)
      throw Error(ErrorCode::invalid, "its source_profile leads back to itself");
    if (!value_of(section, "mfa_serial").empty())
      throw Error(ErrorCode::unsupported, "it wants a code from a device (mfa_serial)",
                  "a backup runs unattended: let it use a role without");
    RoleRequest role{value_of(section, "role_arn"), value_of(section, "role_session_name"),
                     value_of(section, "external_id"), value_of(section, "duration_seconds")};
    std::string token_file = value_of(section, "web_identity_token_file");
    if (!token_file.empty()) return services_.with_web_identity(role, token_file);
    return services_.assume_role(role, source_of_role(name, section));
  }

  AwsCredentials source_of_role(const std::string& name, const AwsSection& section) {
    std::string from = value_of(section, "source_profile");
    std::optional<AwsCredentials> found;
    if (from == name) {
      found = without_role(section);  // its own keys
    } else if (!from.empty()) {
      found = of_profile(from);
    } else {
      from = value_of(section, "credential_source");
      if (from == "Environment")
        found = of_environment();
      else if (from == "EcsContainer")
        found = services_.of_container();
      else if (from == "Ec2InstanceMetadata")
        found = services_.of_instance();
      else
        throw Error(ErrorCode::invalid, "role_arn without a source_profile or credential_source");
    }
    if (found) return *found;
    throw Error(ErrorCode::denied, fmt::format("{} has no credentials", printable(from)));
  }

  std::optional<AwsCredentials> without_role(const AwsSection& section) {
    std::string id = value_of(section, "aws_access_key_id");
    if (!id.empty()) {
      std::string secret = value_of(section, "aws_secret_access_key");
      if (secret.empty())
        throw Error(ErrorCode::invalid, "aws_access_key_id without aws_secret_access_key");
      return plain(id, secret, value_of(section, "aws_session_token"), "aws_access_key_id");
    }
    std::string command = value_of(section, "credential_process");
    if (!command.empty()) return of_process(command);
    if (section.contains("sso_session") || section.contains("sso_start_url"))
      throw Error(ErrorCode::unsupported, "logging in by a browser (SSO) is not built in",
                  "credential_process = aws configure export-credentials --profile … --format "
                  "process");
    return std::nullopt;
  }

  AwsCredentials of_process(const std::string& command) {
    ProcessOptions process;
    process.argv = {"/bin/sh", "-c", command};
    process.env = options_.environment;
    ProcessResult done = with_context("its credential_process", [&] {
      return run_process(std::move(process), {}, kCredentialAnswerBytesMax, kProcessTimeMax);
    });
    if (done.exit_code != 0)
      throw Error(ErrorCode::denied,
                  fmt::format("its credential_process ended with code {}", done.exit_code),
                  "run it by hand to see what it says");
    return parse_credentials_json(done.out, "its credential_process");
  }

  const AwsChainOptions& options_;
  AwsServices services_;
  std::optional<AwsProfiles> profiles_;
  std::set<std::string> in_progress_;
  std::vector<std::string> looked_at_;
};

class ChainSource final : public CredentialSource {
 public:
  ChainSource(const AwsChainOptions& options, HttpTransport& transport, const Clock& clock)
      : options_(options), transport_(transport), clock_(clock) {}

  AwsCredentials get() override {
    std::lock_guard lock(mutex_);
    UtcTime now = clock_.now();
    if (kept_ && now < refresh_at_) return *kept_;
    try {
      keep(Search(options_, transport_, clock_).run(), now);
    } catch (const Error&) {
      if (!kept_ || !kept_->expires || now >= *kept_->expires) throw;
      refresh_at_ = now + kRefreshAgainAfter;  // what is still good goes on
    }
    return *kept_;
  }

  void forget() override {
    std::lock_guard lock(mutex_);
    kept_.reset();
  }

 private:
  void keep(AwsCredentials found, UtcTime now) {
    if (found.expires && *found.expires <= now)
      throw Error(ErrorCode::denied,
                  fmt::format("the AWS credentials expired at {}", format_rfc3339(*found.expires)),
                  "see that this machine's clock is right, and what renews them");
    refresh_at_ = UtcTime::max();
    if (found.expires)
      refresh_at_ = std::max(*found.expires - kRefreshBefore,
                             std::min<UtcTime>(*found.expires, now + kRefreshAgainAfter));
    kept_ = std::move(found);
  }

  const AwsChainOptions options_;
  HttpTransport& transport_;
  const Clock& clock_;
  std::mutex mutex_;
  // Guarded by mutex_:
  std::optional<AwsCredentials> kept_;
  UtcTime refresh_at_{};
};

class FixedSource final : public CredentialSource {
 public:
  explicit FixedSource(const AwsCredentials& credentials) : credentials_(credentials) {}
  AwsCredentials get() override { return credentials_; }
  void forget() override {}

 private:
  const AwsCredentials credentials_;
};

}  // namespace

std::unique_ptr<CredentialSource> make_aws_credentials(const AwsChainOptions& options,
                                                       HttpTransport& transport,
                                                       const Clock& clock) {
  return std::make_unique<ChainSource>(options, transport, clock);
}

std::unique_ptr<CredentialSource> make_fixed_credentials(const AwsCredentials& credentials) {
  return std::make_unique<FixedSource>(credentials);
}

}  // namespace holdfast
