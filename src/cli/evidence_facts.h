// What a report of evidence rests on, gathered: stores, records of drills, the audit trail, the
// configuration.
#pragma once

#include <vector>

#include "cli/command.h"
#include "cli/stores.h"
#include "operate/evidence.h"

namespace holdfast {

// A store that cannot be looked at is said in the facts; nothing else of it is known then. Throws
// only Error(cancelled), and Error(invalid) for a configuration that cannot be right.
EvidenceFacts evidence_facts(CommandContext& context, const std::vector<OpenStore>& stores,
                             const EvidencePeriod& period, const AuditAnchors& anchors);

}  // namespace holdfast
