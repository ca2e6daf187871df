// The --json document of `holdfast drill`, beside those in cli/documents.h. Pure.
#pragma once

#include <string>
#include <vector>

#include "operate/drill_record.h"

namespace holdfast {

// The record (docs/format/drill.md, its own hash left out), `ok`, and the stores that keep it.
std::string drill_document(const DrillRecord& record, bool ok,
                           const std::vector<std::string>& stores);

}  // namespace holdfast
