#include "seal/passphrase.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/file.h"

namespace holdfast {
namespace {

constexpr uint64_t kFileBytesMax = 64 << 10;
// What a machine drew has about as many different characters as it can; 32 of 64 in 44 draws.
constexpr double kDifferentShare = 0.6;
constexpr size_t kDifferentMin = 8;

[[noreturn]] void refuse(const std::string& where, const std::string& what,
                         const std::string& hint) {
  throw Error(ErrorCode::invalid, where + " " + what, hint);
}

std::string new_key_hint() {
  return "make a key: (umask 077; openssl rand -base64 48 > backup.key), and keep a copy of it "
         "where the backups are not";
}

// The number of characters that a random text like `line` was drawn from.
int alphabet_of(std::string_view line) {
  auto all = [&](std::string_view known) {
    return line.find_first_not_of(known) == std::string_view::npos;
  };
  if (all("0123456789")) return 10;
  if (all("0123456789abcdef") || all("0123456789ABCDEF")) return 16;
  if (all("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=")) return 32;
  return 64;
}

bool repeats(std::string_view line) {
  for (size_t period = 1; period <= line.size() / 2; ++period)
    if (line.substr(period) == line.substr(0, line.size() - period)) return true;
  return false;
}

}  // namespace

int key_bits(std::string_view line) {
  int alphabet = alphabet_of(line);
  std::set<char> different(line.begin(), line.end());
  // Of `alphabet` characters, this many are expected after so many draws.
  double draws = static_cast<double>(line.size()), size = alphabet;
  double expected = size * (1 - std::pow(1 - 1 / size, draws));
  // A word before the digits makes them look like a larger alphabet: then what is seen counts.
  if (static_cast<double>(different.size()) < kDifferentShare * expected)
    size = static_cast<double>(different.size());
  if (different.size() < kDifferentMin || repeats(line)) return 0;
  return static_cast<int>(draws * std::log2(size));
}

void check_passphrase(std::string_view text, PassphraseKind kind, const std::string& where,
                      std::vector<std::string>& notes) {
  if (text.empty()) refuse(where, "is empty", new_key_hint());
  if (text.find('\r') != std::string_view::npos)
    refuse(where, "has Windows line ends, which gpg takes for a part of the passphrase",
           "write it again with plain line ends");
  if (text.find('\n') != std::string_view::npos)
    refuse(where, "has more than one line, and gpg reads the first only", "keep one line");
  if (text.find('\0') != std::string_view::npos)
    refuse(where, "holds a zero byte, so that gpg would not read it whole",
           "write it as text: base64, for one");
  if (kind == PassphraseKind::key) {
    if (int bits = key_bits(text); bits < kKeyFileBitsMin)
      refuse(where,
             bits == 0 ? "does not look like a random key"
                       : fmt::format("holds a key of at most {} bits, less than {}", bits,
                                     kKeyFileBitsMin),
             new_key_hint());
    return;
  }
  if (text.size() < kPassphraseBytesMin)
    refuse(where, fmt::format("has fewer than {} characters", kPassphraseBytesMin),
           "use a longer one; " + new_key_hint());
  if (text.size() < kPassphraseBytesGood)
    notes.push_back(
        fmt::format("{} has fewer than {} characters: whoever gets the backups can try "
                    "to guess it (a key file cannot be guessed)",
                    where, kPassphraseBytesGood));
}

PassphraseFile read_passphrase_file(const std::string& path, PassphraseKind kind) {
  PassphraseFile file;
  std::string text;
  try {
    text = read_file(path, kFileBytesMax);
  } catch (const Error& error) {  // whatever it is, the configuration has to be corrected
    throw Error(ErrorCode::invalid, error.what(), error.hint());
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  check_passphrase(text, kind, path, file.notes);
  struct stat info;
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & (S_IRGRP | S_IROTH)) != 0)
    file.notes.push_back(fmt::format("{} can be read by other users (chmod 600 {})", path, path));
  file.passphrase = Secret(std::move(text));
  return file;
}

}  // namespace holdfast
