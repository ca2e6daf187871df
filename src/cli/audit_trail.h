// The audit trail as it is configured: its folder, and whose name its events bear. What writes to
// it is cli/operation.h; what looks into it is `holdfast audit`.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "audit/anchor.h"
#include "audit/record.h"
#include "audit/retention.h"
#include "cli/config.h"
#include "cli/stores.h"

namespace holdfast {

// Whether operations are recorded at all.
bool audit_is_on(const Config& config);
// Whether what must be recorded is refused while it cannot be.
bool audit_is_required(const Config& config);

// The folder of the trail: audit.dir, or `/var/log/holdfast/audit` where /var/log/holdfast is this
// user's, or `audit` in the state folder. Makes nothing.
std::string audit_folder(const Config& config);

// Who is at work, as events say it.
AuditWho audit_who(const Config& config);

AuditRetentionPolicy audit_retention(const Config& config);

// The anchors that the stores have, each head once. A store that cannot be asked is a warning, as
// is one for every anchor that is damaged.
AuditAnchors anchors_everywhere(const std::vector<OpenStore>& stores, const Run& run);

// What tells where the trail stands (its head), for those who say it elsewhere: alerts. It tells
// nothing where nothing is recorded or there is no trail yet, throws nothing, and waits
// kAuditHeadMax at most; one that cannot be read is a warning, said once. `config` and `run`
// outlive it.
std::function<std::optional<AuditHead>()> audit_head_teller(const Config& config, const Run& run);

// Puts the head into every store, until the trail may go where the store locks objects.
struct AnchorOutcome {
  std::string store, location, object;
  std::optional<UtcTime> locked_until;
  std::optional<Error> error;
};
std::vector<AnchorOutcome> anchor_everywhere(const std::vector<OpenStore>& stores,
                                             const Config& config, const AuditHead& head,
                                             const Run& run);

// Whether the folder is there and this user's own. Root can write anywhere, but what it made in
// somebody else's folder, that one could not go on with.
bool is_own_folder(const std::string& folder);

}  // namespace holdfast
