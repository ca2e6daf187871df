#include "audit/identity.h"

#include "base/this_machine.h"

namespace holdfast {
namespace {

using Variables = std::map<std::string, std::string>;

std::string value_of(const Variables& environment, const char* name) {
  auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

bool in_github(const Variables& environment) {
  return value_of(environment, "GITHUB_ACTIONS") == "true";
}

bool in_gitlab(const Variables& environment) {
  return value_of(environment, "GITLAB_CI") == "true";
}

}  // namespace

AuditWho local_identity(const std::string& organization, const Variables& environment) {
  AuditWho who;
  who.organization = organization;
  who.host = host_name();
  std::string ssh = value_of(environment, "SSH_CONNECTION");
  who.address = ssh.empty() ? "local" : ssh.substr(0, ssh.find(' '));
  who.actor = user_name();
  std::string claimed = in_github(environment)   ? value_of(environment, "GITHUB_ACTOR")
                        : in_gitlab(environment) ? value_of(environment, "GITLAB_USER_LOGIN")
                                                 : "";
  if (!claimed.empty()) {
    who.kind = AuditActorKind::ci;
    who.actor = (in_github(environment) ? "github:" : "gitlab:") + claimed;
  }
  return who;
}

std::string ci_run_id(const Variables& environment) {
  if (in_github(environment)) return value_of(environment, "GITHUB_RUN_ID");
  return in_gitlab(environment) ? value_of(environment, "CI_JOB_ID") : "";
}

}  // namespace holdfast
