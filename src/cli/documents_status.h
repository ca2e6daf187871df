// The JSON document of `holdfast status` (docs/status.md): fields may be added, never renamed.
// Pure.
#pragma once

#include <string>

#include "operate/objectives.h"

namespace holdfast {

std::string status_document(const StatusReport& report);

}  // namespace holdfast
