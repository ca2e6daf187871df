// GnuPG as holdfast uses it: which program, how it is started, which keys it has, and what its
// failures mean.
//
// Archives are sealed by gpg itself, so that anyone can open them with stock gpg, whatever becomes
// of holdfast. Started always with --batch --no-tty --no-options (an operator's gpg.conf cannot
// change what is written), with an environment of our choice, and with passphrases in memory files:
// never in an argument, an environment or on a disk. Keys are those of the caller's GNUPGHOME;
// a passphrase alone needs no home, no keyring and no agent. Functions are free of state and may be
// called by any thread; they throw Error(unsupported) where there is no gpg.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "base/secret.h"

namespace holdfast {

enum class SealMethod { recipients, passphrase };
std::string_view seal_method_name(SealMethod method);  // "openpgp-recipients", …
// Throws Error(unsupported) for one that this version does not know.
SealMethod parse_seal_method(const std::string& name);

// How something is sealed.
struct SealSpec {
  SealMethod method = SealMethod::recipients;
  std::vector<std::string> recipients;  // fingerprints, see resolve_recipient
  Secret passphrase;                    // of SealMethod::passphrase
};

// What may open something sealed, beside the secret keys that the caller's gpg has: tried in order.
struct OpenKeys {
  std::vector<Secret> passphrases;
};

struct PublicKey {
  std::string fingerprint;  // of the primary key, upper-case hexadecimal
  std::string name;         // its first user id
};

// The one usable public key that `name` (fingerprint, key id, e-mail address) stands for. Throws
// Error(not_found) naming it and why there is none, Error(invalid) if there are several.
PublicKey resolve_recipient(const std::string& name);
// The same from what `gpg --with-colons --list-keys` printed (doc/DETAILS of GnuPG).
PublicKey choose_key(const std::string& name, const std::string& listing);

// One way of opening: with `passphrase`, or, where that is null, by the caller's keys and agent.
struct OpenAttempt {
  const Secret* passphrase = nullptr;
  bool passphrase_only = false;  // what is sealed is known to have no recipients
};

// A gpg ready to start; the memory file holds its passphrase and outlives the start.
struct GpgCommand {
  ProcessOptions options;
  Fd passphrase;
};
GpgCommand gpg_seal_command(const SealSpec& spec);
GpgCommand gpg_open_command(const OpenAttempt& attempt);

// What a gpg that failed to open something says by its stderr, status lines included:
//   denied   no secret key here, or the wrong passphrase; the hint says which
//   corrupt  the bytes are not what was sealed
Error gpg_open_failure(const std::string& stderr_text, int exit_code);
Error gpg_seal_failure(const std::string& stderr_text, int exit_code);

// "gpg (GnuPG) 2.2.40".
std::string gpg_version();

}  // namespace holdfast
