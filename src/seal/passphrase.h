// Passphrases and key files: what seals archives for those who have no GPG keys.
//
// Both are one line of text, used as gpg uses it, so that stock gpg opens what they sealed:
//   gpg --batch --pinentry-mode loopback --passphrase-file FILE --decrypt ARCHIVE
// A key file holds a line that a machine drew (256 bits or more); a passphrase file what a person
// thought of. Refused: what gpg would read otherwise than it looks (several lines, Windows line
// ends), what is empty, and what is too weak to protect anything. Pure but for reading the file;
// errors name the file, never the content.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"

namespace holdfast {

constexpr size_t kPassphraseBytesMin = 8;    // less is refused
constexpr size_t kPassphraseBytesGood = 16;  // less is noted
constexpr int kKeyFileBitsMin = 256;

enum class PassphraseKind { passphrase, key };

struct PassphraseFile {
  Secret passphrase;
  std::vector<std::string> notes;  // allowed and yet unwise, for people
};

// Throws Error(invalid) naming `path`.
PassphraseFile read_passphrase_file(const std::string& path, PassphraseKind kind);

// Throws Error(invalid), led by `where`. Adds to `notes`.
void check_passphrase(std::string_view text, PassphraseKind kind, const std::string& where,
                      std::vector<std::string>& notes);

// How many bits a line of random digits or letters of its kind can hold; 0 if it is no random one
// (few different characters, or a repetition).
int key_bits(std::string_view line);

}  // namespace holdfast
