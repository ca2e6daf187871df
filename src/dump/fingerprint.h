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
#include <set>
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

// What differs, in words: "missing: INDEX public.visits_pkey", "different: …", "extra: …". Names in
// `reworded` are not "different".
std::vector<std::string> compare_schemas(const ArchiveToc& expected, const ArchiveToc& found,
                                         SchemaScope scope = {},
                                         const std::set<std::string>& reworded = {});

// A definition in pg_dump's words is not always in the same words once it was restored, whatever is
// normalised. This tells such rewordings from damage: the names of entries that are in `expected`
// and in `found` with different texts, and that have in `found` the very text that they have in
// `alone`, a database into which stock pg_restore has brought the archive's definitions and nothing
// else, without one failing statement. What is in `found` is then what the archive defines.
//
// It hides no object that was changed, in `expected`'s archive (its SHA-256 vouches for it) or on
// the way into `found`: `alone` was not on that way. It says nothing of what is missing or extra,
// of owners and privileges, which have but one wording, and of what comes with the data (values of
// sequences), which `alone` lacks. Entries of equal names are taken together or not at all.
std::set<std::string> reworded_entries(const ArchiveToc& expected, const ArchiveToc& found,
                                       const ArchiveToc& alone, SchemaScope scope = {});

// The normal form of a definition: its tokens, one a line, without comments, parentheses, and casts
// to text types. Literals, quoted identifiers and dollar-quoted bodies are kept as they are.
std::string normalize_definition(std::string_view sql);

}  // namespace holdfast
