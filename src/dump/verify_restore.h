// The rehearsal: a backup restored into a scratch server of its own, and compared there.
#pragma once

#include "dump/verify.h"

namespace holdfast {

// Adds what it finds to `report`: problems, notes, tables (as read back). Returns false, with the
// reason as the last note, if the rehearsal could not be made (no server programs, an extension
// that is not installed here): the verdict is then INCONCLUSIVE.
bool rehearse_restore(ObjectStore& store, const Manifest& manifest, const VerifyOptions& options,
                      VerifyReport& report, const Run& run);

}  // namespace holdfast
