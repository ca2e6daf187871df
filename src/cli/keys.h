// What the configuration says about encryption: how new backups are sealed, what opens sealed ones,
// and whether both work here. The rules are in docs/encryption.md:
// recipients seal if any are named, else the key file, the passphrase file, BACKUP_ENCRYPTION_KEY;
// whatever passphrases there are open, beside the secret keys of the user's GnuPG.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/run.h"
#include "cli/config.h"
#include "dump/preflight.h"
#include "seal/gpg.h"

namespace holdfast {

// Nothing if backups are not to be sealed. Throws Error if they are and cannot be: a recipient
// without exactly one usable key, a passphrase that protects nothing, no gpg.
std::optional<SealSpec> configured_seal(const Config& config);

// Every passphrase of the configuration. Throws Error(invalid) for a file that cannot be used.
OpenKeys configured_keys(const Config& config);

// For doctor. With `check_keys`, a small text is sealed as a backup would be and opened again: each
// way that seals must open.
std::vector<Finding> encryption_findings(const Config& config, bool check_keys);

}  // namespace holdfast
