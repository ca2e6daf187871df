#include "cli/keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "seal/gpg_stream.h"
#include "seal/passphrase.h"

namespace holdfast {
namespace {

constexpr std::string_view kSampleText = "holdfast: a key that seals must open\n";

// A passphrase of the configuration, and where it comes from.
struct Configured {
  Secret passphrase;
  std::string origin;
  std::vector<std::string> notes;
};

// In the order in which they are taken to seal.
std::vector<Configured> configured_passphrases(const Config& config) {
  std::vector<Configured> found;
  auto add_file = [&](const char* option, PassphraseKind kind) {
    if (!config.given(option)) return;
    std::string path = config.text(option);
    PassphraseFile file = with_context(config.setting(option).origin,
                                       [&] { return read_passphrase_file(path, kind); });
    found.push_back({std::move(file.passphrase), path, std::move(file.notes)});
  };
  add_file("key_file", PassphraseKind::key);
  add_file("passphrase_file", PassphraseKind::passphrase);
  if (config.given("encryption_key")) {
    Configured variable{
        config.secret("encryption_key"), config.setting("encryption_key").origin, {}};
    check_passphrase(variable.passphrase.reveal(), PassphraseKind::passphrase, variable.origin,
                     variable.notes);
    found.push_back(std::move(variable));
  }
  return found;
}

// A variable holds several recipients with commas between them.
std::vector<std::string> configured_recipients(const Config& config) {
  std::vector<std::string> names;
  for (const std::string& value : config.list("gpg_recipients"))
    for (const std::string& part : split(value, ','))
      if (std::string_view name = trim(part); !name.empty()) names.emplace_back(name);
  if (names.empty() && config.given("gpg_recipients"))
    throw Error(ErrorCode::invalid,
                config.setting("gpg_recipients").origin + ": no recipient is named",
                "name one by the fingerprint of its key, or leave the setting out");
  return names;
}

SealSpec seal_to(const Config& config, const std::vector<std::string>& names,
                 std::vector<PublicKey>* keys = nullptr) {
  SealSpec spec;
  for (const std::string& name : names) {
    PublicKey key = with_context(config.setting("gpg_recipients").origin,
                                 [&] { return resolve_recipient(name); });
    bool known = std::find(spec.recipients.begin(), spec.recipients.end(), key.fingerprint) !=
                 spec.recipients.end();
    if (!known) spec.recipients.push_back(key.fingerprint);
    if (!known && keys != nullptr) keys->push_back(key);
  }
  return spec;
}

SealSpec seal_with(const Configured& configured) {
  SealSpec spec;
  spec.method = SealMethod::passphrase;
  spec.passphrase = configured.passphrase;
  return spec;
}

// Seals a small text and opens it. Throws what kept it from being opened.
void try_round(const SealSpec& spec, const OpenAttempt& attempt) {
  std::string sealed;
  GpgSealer sealer(spec, [&](ByteView bytes) { sealed.append(bytes.begin(), bytes.end()); });
  sealer.write(as_bytes(kSampleText));
  sealer.finish();
  size_t at = 0;
  GpgOpener opener(
      attempt,
      [&](uint8_t* out, size_t size) {
        size_t part = std::min(size, sealed.size() - at);
        std::copy_n(sealed.data() + at, part, out);
        at += part;
        return part;
      },
      false);
  std::string opened(kSampleText.size() + 1, '\0');
  size_t got = 0;
  while (size_t more =
             opener.read(reinterpret_cast<uint8_t*>(opened.data()) + got, opened.size() - got))
    got += more;
  if (opener.failure()) throw Error(*opener.failure());
  if (std::string_view(opened).substr(0, got) != kSampleText)
    throw Error(ErrorCode::corrupt, "what was sealed and opened again is another text");
}

// For recipients one key of one of them is enough; a passphrase may be that of the secret key.
void try_recipients(const SealSpec& spec, const std::vector<Configured>& passphrases) {
  std::vector<OpenAttempt> attempts = {{nullptr, false}};
  for (const Configured& configured : passphrases) attempts.push_back({&configured.passphrase});
  for (size_t i = attempts.size(); i-- > 0;) {
    try {
      return try_round(spec, attempts[i]);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::denied || i == 0) throw;
    }
  }
}

class Findings {
 public:
  Findings(const Config& config, bool check_keys) : config_(config), check_keys_(check_keys) {}

  std::vector<Finding> find() {
    std::vector<Configured> passphrases = configured_passphrases(config_);
    for (const Configured& configured : passphrases)
      for (const std::string& note : configured.notes) add(FindingLevel::note, note);
    std::vector<std::string> names = configured_recipients(config_);
    if (!names.empty()) {
      recipients(names, passphrases);
    } else if (!passphrases.empty()) {
      with_passphrase(passphrases);
    } else {
      add(FindingLevel::note, "backups are compressed, not encrypted",
          "to encrypt them: --gpg-recipient or --key-file (docs/encryption.md)");
    }
    return std::move(findings_);
  }

 private:
  void add(FindingLevel level, const std::string& message, const std::string& hint = {}) {
    findings_.push_back({level, "encryption", message, hint});
  }

  void recipients(const std::vector<std::string>& names,
                  const std::vector<Configured>& passphrases) {
    std::vector<PublicKey> keys;
    SealSpec spec = seal_to(config_, names, &keys);
    for (const PublicKey& key : keys)
      add(FindingLevel::ok,
          fmt::format("backups are sealed to {} ({})", key.fingerprint, key.name));
    if (!passphrases.empty())
      add(FindingLevel::note,
          fmt::format("{} does not seal new backups (recipients are set), it only opens others",
                      passphrases.front().origin));
    if (!check_keys_) {
      add(FindingLevel::note, "whether a secret key here opens backups was not tried",
          "doctor --check-keys, where the key should be");
      return;
    }
    try_recipients(spec, passphrases);
    add(FindingLevel::ok, "a secret key that opens backups can be used here");
  }

  void with_passphrase(const std::vector<Configured>& passphrases) {
    add(FindingLevel::ok,
        fmt::format("backups are sealed with the passphrase of {}", passphrases.front().origin));
    for (size_t i = 1; i < passphrases.size(); ++i)
      add(FindingLevel::note,
          fmt::format("{} does not seal new backups, it only opens others", passphrases[i].origin));
    add(FindingLevel::note, "who loses the passphrase loses the backups",
        "keep a copy of it where neither the database nor the backups are");
    SealSpec spec = seal_with(passphrases.front());
    try_round(spec, {&passphrases.front().passphrase, true});
    add(FindingLevel::ok, "a text that was sealed with it could be opened again");
  }

  const Config& config_;
  const bool check_keys_;
  std::vector<Finding> findings_;
};

}  // namespace

std::optional<SealSpec> configured_seal(const Config& config) {
  std::vector<std::string> names = configured_recipients(config);
  if (!names.empty()) return seal_to(config, names);
  std::vector<Configured> passphrases = configured_passphrases(config);
  if (passphrases.empty()) return std::nullopt;
  gpg_version();  // no gpg: said before anything is begun
  return seal_with(passphrases.front());
}

OpenKeys configured_keys(const Config& config) {
  OpenKeys keys;
  for (Configured& configured : configured_passphrases(config))
    keys.passphrases.push_back(std::move(configured.passphrase));
  return keys;
}

std::vector<Finding> encryption_findings(const Config& config, bool check_keys) {
  try {
    return Findings(config, check_keys).find();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    return {{FindingLevel::failure, "encryption", error.what(), error.hint(), error.code()}};
  }
}

}  // namespace holdfast
