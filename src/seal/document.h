// JSON documents that carry their own SHA-256 as their last member, so that a changed, missing or
// added byte anywhere in them is found: manifests and proofs. See docs/format/manifest.md.
//
// The last bytes of such a document are exactly
//   ,\n  "<key>": "<64 lower-case hexadecimal digits>"\n}\n
// and the digits are the SHA-256 of everything before. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// `body` is a document without its closing "\n}\n".
std::string seal_document(std::string body, std::string_view key);

enum class Seal {
  sound,
  missing,   // the document does not end as above: it was cut short or added to
  mismatch,  // it does, but with the SHA-256 of other bytes
};
Seal check_seal(std::string_view document, std::string_view key);

// `text` as a JSON string. Text that is not UTF-8 (a database may be SQL_ASCII) becomes
// {"latin1": "…"}, in which each byte is the character of that number: reversible, and readable.
std::string json_text(std::string_view text);

}  // namespace holdfast
