#include "seal/gpg.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr std::string_view kStatus = "[GNUPG:] ";
constexpr std::string_view kSays = "gpg: ";
// For a passphrase no folder of keys is needed; gpg wants to be told of one all the same.
constexpr const char* kNoHome = "/proc/self/no-home";
constexpr int kDigestRounds = 65011712;  // the most that OpenPGP can say (RFC 4880, 3.7.1.3)

std::string find_gpg() {
  const char* path = std::getenv("PATH");
  std::vector<std::string> folders = split(path != nullptr ? path : "", ':');
  for (const char* usual : {"/usr/bin", "/usr/local/bin", "/bin"}) folders.push_back(usual);
  for (const std::string& folder : folders) {
    std::string program = folder + "/gpg";
    if (folder.starts_with('/') && ::access(program.c_str(), X_OK) == 0) return program;
  }
  throw Error(ErrorCode::unsupported, "there is no gpg on this machine",
              "install the package gnupg");
}

// What gpg and the agent that it may start need of our environment beyond every child's.
std::map<std::string, std::string> gpg_environment() {
  std::map<std::string, std::string> environment = clean_environment();
  environment["LC_ALL"] = "C.UTF-8";  // its messages are read
  for (const char* name : {"GNUPGHOME", "GPG_TTY", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR",
                           "DBUS_SESSION_BUS_ADDRESS"})
    if (const char* value = std::getenv(name)) environment[name] = value;
  return environment;
}

ProcessOptions gpg_options() {
  ProcessOptions options;
  options.argv = {find_gpg(),
                  "--batch",
                  "--no-tty",
                  "--no-options",
                  "--status-fd",
                  "2",
                  "--no-auto-check-trustdb"};
  options.env = gpg_environment();
  return options;
}

void add(ProcessOptions& options, std::initializer_list<std::string> arguments) {
  options.argv.insert(options.argv.end(), arguments);
}

void without_home(ProcessOptions& options) {
  add(options, {"--no-keyring", "--no-autostart", "--no-random-seed-file", "--lock-never"});
  options.env["GNUPGHOME"] = kNoHome;
}

void give_passphrase(GpgCommand& command, const Secret& passphrase) {
  command.passphrase = make_memory_file("holdfast-passphrase", passphrase.reveal() + "\n");
  command.options.inherit.push_back(command.passphrase.get());
  add(command.options,
      {"--pinentry-mode", "loopback", "--passphrase-fd", std::to_string(command.passphrase.get())});
}

// --- what gpg says ---

struct Said {
  std::vector<std::string> statuses;  // "NO_SECKEY AECD86BBA00C2A91"
  std::string last;                   // its last message for people
  bool has(std::string_view start) const {
    return std::any_of(statuses.begin(), statuses.end(),
                       [&](const std::string& line) { return line.starts_with(start); });
  }
  std::vector<std::string> second_words(std::string_view keyword) const {
    std::vector<std::string> words;
    for (const std::string& line : statuses) {
      std::vector<std::string> parts = split(line, ' ');
      if (parts.size() > 1 && parts[0] == keyword &&
          std::find(words.begin(), words.end(), parts[1]) == words.end())
        words.push_back(parts[1]);
    }
    return words;
  }
};

Said read_stderr(const std::string& text) {
  Said said;
  for (const std::string& line : split(text, '\n')) {
    if (line.starts_with(kStatus))
      said.statuses.push_back(line.substr(kStatus.size()));
    else if (std::string_view rest = trim(line); !rest.empty())
      said.last = printable(rest.starts_with(kSays) ? rest.substr(kSays.size()) : rest);
  }
  return said;
}

std::string ending(int exit_code) {
  return exit_code > 128 ? fmt::format("gpg was ended by signal {}", exit_code - 128)
                         : fmt::format("gpg ended with status {}", exit_code);
}

// --- keys ---

struct Candidate {
  PublicKey key;
  std::string trouble;  // empty: usable
};

std::string trouble_of(char validity, const std::string& capabilities) {
  if (validity == 'e') return "has expired";
  if (validity == 'r') return "is revoked";
  if (validity == 'd' || capabilities.find('D') != std::string::npos) return "is disabled";
  if (validity == 'i' || validity == 'n') return "is not valid";
  // The capital letter: of the whole key, of what is neither expired nor revoked in it.
  if (capabilities.find('E') == std::string::npos) return "cannot be used to encrypt";
  return {};
}

std::vector<Candidate> candidates_of(const std::string& listing) {
  constexpr size_t kValidity = 1, kNameOrFingerprint = 9, kCapabilities = 11;
  std::vector<Candidate> found;
  for (const std::string& line : split(listing, '\n')) {
    std::vector<std::string> fields = split(line, ':');
    if (fields.size() <= kNameOrFingerprint) continue;
    if (fields[0] == "pub") {
      std::string capabilities = fields.size() > kCapabilities ? fields[kCapabilities] : "";
      char validity = fields[kValidity].empty() ? '-' : fields[kValidity][0];
      found.push_back({{}, trouble_of(validity, capabilities)});
    }
    if (found.empty()) continue;
    PublicKey& key = found.back().key;
    if (fields[0] == "fpr" && key.fingerprint.empty()) key.fingerprint = fields[kNameOrFingerprint];
    if (fields[0] == "uid" && key.name.empty()) key.name = printable(fields[kNameOrFingerprint]);
  }
  return found;
}

}  // namespace

std::string_view seal_method_name(SealMethod method) {
  return method == SealMethod::recipients ? "openpgp-recipients" : "openpgp-passphrase";
}

SealMethod parse_seal_method(const std::string& name) {
  for (SealMethod method : {SealMethod::recipients, SealMethod::passphrase})
    if (name == seal_method_name(method)) return method;
  throw Error(ErrorCode::unsupported, fmt::format("it is sealed by '{}'", printable(name)),
              "use the holdfast that made it, or a later one");
}

PublicKey choose_key(const std::string& name, const std::string& listing) {
  std::vector<Candidate> usable, found = candidates_of(listing);
  std::copy_if(found.begin(), found.end(), std::back_inserter(usable),
               [](const Candidate& candidate) { return candidate.trouble.empty(); });
  std::string said = printable(name);
  if (usable.size() == 1) return usable.front().key;
  if (usable.size() > 1) {
    std::vector<std::string> fingerprints;
    for (const Candidate& candidate : usable) fingerprints.push_back(candidate.key.fingerprint);
    throw Error(ErrorCode::invalid,
                fmt::format("recipient '{}' stands for {} keys", said, usable.size()),
                fmt::format("name one by its fingerprint: {}", fmt::join(fingerprints, ", ")));
  }
  if (found.empty())
    throw Error(ErrorCode::not_found, fmt::format("recipient '{}' has no public key here", said),
                "import it into this user's keyring: gpg --import KEYFILE (GNUPGHOME names "
                "another keyring)");
  throw Error(ErrorCode::not_found,
              fmt::format("recipient '{}' has no usable key: {} {}", said,
                          found.front().key.fingerprint, found.front().trouble),
              "import a renewed key, or name another recipient: nothing can be sealed to this one");
}

PublicKey resolve_recipient(const std::string& name) {
  if (trim(name).empty())
    throw Error(ErrorCode::invalid, "a recipient's name is empty", "name a fingerprint");
  ProcessOptions options = gpg_options();
  add(options, {"--no-autostart", "--with-colons", "--fixed-list-mode", "--list-keys", "--", name});
  ProcessResult result = run_process(options);
  // Its status is the same for "no such key" and "no keyring at all": the listing tells.
  return choose_key(name, result.out);
}

GpgCommand gpg_seal_command(const SealSpec& spec) {
  GpgCommand command;
  command.options = gpg_options();
  ProcessOptions& options = command.options;
  options.pipe_stdin = options.pipe_stdout = true;
  // The archive is compressed already.
  add(options, {"--compress-level", "0", "--cipher-algo", "AES256"});
  if (spec.method == SealMethod::passphrase) {
    without_home(options);
    give_passphrase(command, spec.passphrase);
    add(options, {"--s2k-mode", "3", "--s2k-digest-algo", "SHA512", "--s2k-cipher-algo", "AES256",
                  "--s2k-count", std::to_string(kDigestRounds), "--symmetric"});
    return command;
  }
  // Whom to trust was decided by who named the recipients, by fingerprint after the check.
  add(options, {"--no-autostart", "--trust-model", "always", "--encrypt"});
  for (const std::string& recipient : spec.recipients) add(options, {"--recipient", recipient});
  return command;
}

GpgCommand gpg_open_command(const OpenAttempt& attempt) {
  GpgCommand command;
  command.options = gpg_options();
  command.options.pipe_stdin = command.options.pipe_stdout = true;
  if (attempt.passphrase_only) without_home(command.options);
  if (attempt.passphrase != nullptr) give_passphrase(command, *attempt.passphrase);
  // The proof is in the manifest's hashes: a signature is not asked for, nor its key looked up.
  add(command.options, {"--skip-verify", "--decrypt"});
  return command;
}

Error gpg_open_failure(const std::string& stderr_text, int exit_code) {
  Said said = read_stderr(stderr_text);
  // A gpg that aborts or crashes does so over what it was given; other signals come from outside.
  int signal = exit_code - 128;
  bool fell = signal == SIGABRT || signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE;
  if (signal > 0 && !fell)
    return Error(ErrorCode::unavailable, ending(exit_code) + " while it decrypted",
                 "run it again; the kernel's log says whether memory ran out");
  if (said.has("BADMDC") || said.has("PLAINTEXT "))
    return Error(ErrorCode::corrupt,
                 "the sealed bytes are not those that were written (gpg: " + said.last + ")");
  std::vector<std::string> missing = said.second_words("NO_SECKEY");
  if (!missing.empty() && !said.has("DECRYPTION_KEY "))
    return Error(ErrorCode::denied,
                 fmt::format("no secret key here opens it: it is sealed to {}",
                             fmt::join(said.second_words("ENC_TO"), ", ")),
                 fmt::format("run this where the secret key is, or import it: gpg --import (gpg "
                             "--list-secret-keys {} shows whether it is there)",
                             missing.front()));
  if (said.has("NEED_PASSPHRASE_SYM"))
    return Error(ErrorCode::denied,
                 said.has("MISSING_PASSPHRASE")
                     ? "it is sealed with a passphrase, and none is given"
                     : "the passphrase does not open it (or its first bytes are damaged)",
                 "give the one it was sealed with: BACKUP_ENCRYPTION_KEY, --passphrase-file or "
                 "--key-file");
  if (!said.second_words("ENC_TO").empty() && !said.has("DECRYPTION_OKAY"))
    return Error(ErrorCode::denied,
                 fmt::format("the secret key could not be used: {}",
                             said.last.empty() ? ending(exit_code) : said.last),
                 "if it has a passphrase, unlock it in gpg-agent, or give it with "
                 "--passphrase-file");
  return Error(ErrorCode::corrupt, fmt::format("gpg cannot read it: {}",
                                               said.last.empty() ? ending(exit_code) : said.last));
}

Error gpg_seal_failure(const std::string& stderr_text, int exit_code) {
  Said said = read_stderr(stderr_text);
  std::string why = exit_code > 128 || said.last.empty() ? ending(exit_code) : said.last;
  return Error(ErrorCode::unavailable, "gpg could not seal: " + why,
               "holdfast doctor checks the recipients; nothing half-made was kept");
}

std::string gpg_version() {
  ProcessOptions options = gpg_options();
  add(options, {"--no-autostart", "--version"});
  std::string out = run_process(options).out;
  return printable(trim(std::string_view(out).substr(0, out.find('\n'))));
}

}  // namespace holdfast
