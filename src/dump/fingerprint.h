// The schema fingerprint: one SHA-256 over the definitions in an archive's table of contents, so
// that a restored database can be compared with its source: dump the restored one's table of
// contents with the same pg_dump (a whole dump's, not --schema-only), and the fingerprints must
// agree.
//
// Definitions are normalised for what changes by itself when PostgreSQL reads back its own output:
// parentheses, blanks and text casts that its parser adds or moves. Entries that describe the
// database rather than its content (DATABASE, ENCODING, comments on the database …), the data
// itself and its place (tablespaces) are left out; values of sequences are in. What exactly, and
// what a comparison therefore cannot see: docs/format/schema-fingerprint.md. All functions are
// pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pg/archive.h"

namespace holdfast {

struct SchemaScope {
  // Off for a restore without them (--no-owner --no-privileges): owners, GRANTs and default
  // privileges are then left out on both sides.
  bool owners_and_privileges = true;
};

// "TABLE public.visits" → hash of its normalised definition; "OWNER OF TABLE public.visits" → hash
// of its owner. Equal names are numbered in the order of their hashes: "OPERATOR public.= (2)".
std::map<std::string, std::string> schema_lines(const ArchiveToc& toc, SchemaScope scope = {});
std::string schema_fingerprint(const ArchiveToc& toc, SchemaScope scope = {});

// What differs, in words: "missing: INDEX public.visits_pkey", "different: …", "extra: …".
std::vector<std::string> compare_schemas(const ArchiveToc& expected, const ArchiveToc& found,
                                         SchemaScope scope = {});

// The normal form of a definition: its tokens, one a line, without comments, parentheses, and casts
// to text types. Literals, quoted identifiers and dollar-quoted bodies are kept as they are.
std::string normalize_definition(std::string_view sql);

}  // namespace holdfast
