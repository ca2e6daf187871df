// The schema fingerprint: one SHA-256 over the definitions in an archive's table of contents, so
// that a restored database can be compared with its source: dump the restored one's table of
// contents with the same pg_dump, and the fingerprints must agree.
//
// Definitions are normalised for what changes by itself when PostgreSQL reads back its own output:
// parentheses, blanks and text casts that its parser adds or moves. Entries that describe the
// database rather than its content (DATABASE, ENCODING, comments on the database …) are left out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "pg/archive.h"

namespace holdfast {

// "TABLE public.visits" → hash of its normalised definition (and owner and privileges if asked).
std::map<std::string, std::string> schema_lines(const ArchiveToc& toc);
std::string schema_fingerprint(const ArchiveToc& toc);

// What differs, in words: "missing: INDEX public.visits_pkey", "different: …", "extra: …".
std::vector<std::string> compare_schemas(const ArchiveToc& expected, const ArchiveToc& found);

}  // namespace holdfast
