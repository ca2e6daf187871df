// The JSON documents of `audit` and `alert`: see documents.h. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "alert/alert_state.h"
#include "alert/outbox.h"
#include "audit/query.h"
#include "audit/verify.h"
#include "cli/audit_trail.h"

namespace holdfast {

std::string audit_page_document(const std::string& folder, const AuditPage& page);
std::string audit_verdict_document(const std::string& folder, const AuditVerdict& verdict);
std::string audit_export_verdict_document(const std::string& file, const AuditProof& proof,
                                          const std::vector<AuditProblem>& problems);
// `proof` is missing of a table.
std::string audit_export_document(const std::string& file, const std::string& format,
                                  const std::optional<AuditProof>& proof,
                                  const std::string& proof_file);
// Without a head there was nothing to anchor.
std::string audit_anchor_document(const std::optional<AuditHead>& head,
                                  const std::vector<AnchorOutcome>& outcomes);

std::string alert_test_document(const std::vector<SinkProblem>& results);
std::string alert_state_document(const std::string& folder, const AlertState& state);

}  // namespace holdfast
