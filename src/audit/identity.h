// Who is at work, as the audit trail records it: the operating system's user, or the actor that a
// CI system names, on which machine, and from which network address.
//
// The environment is handed in. What a CI system or ssh says there is believed only as what it is,
// a claim: the user is the system's own word. Thread-safe.
#pragma once

#include <map>
#include <string>

#include "audit/record.h"

namespace holdfast {

// GITHUB_ACTOR in a GitHub workflow ("github:anna"), GITLAB_USER_LOGIN in a GitLab job
// ("gitlab:anna"), otherwise the name of the real user id; the client of SSH_CONNECTION as address,
// otherwise "local".
AuditWho local_identity(const std::string& organization,
                        const std::map<std::string, std::string>& environment);

// The id of the CI system's run (GITHUB_RUN_ID, CI_JOB_ID), or "".
std::string ci_run_id(const std::map<std::string, std::string>& environment);

}  // namespace holdfast
