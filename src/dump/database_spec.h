// What a database must be made with, because it cannot be given later or only by moving it: its
// encoding, the locale that sorts and compares its text, its tablespace.
//
// The provider of the locale matters as much as its name: a database that sorted by ICU and comes
// back sorting by the C library has its rows in another order, and partitions by ranges of text may
// not take them any more.
#pragma once

#include <string>

#include "dump/manifest.h"
#include "pg/archive.h"
#include "pg/connection.h"

namespace holdfast {

struct DatabaseSpec {
  std::string encoding = "UTF8";
  std::string collate, ctype;  // the C library's; empty: the server's default
  std::string provider;    // "icu", "builtin", or what a later server calls its own; empty: libc
  std::string locale;      // of that provider
  std::string icu_rules;   // that tailor an ICU locale; mostly empty
  std::string tablespace;  // empty: the server's default
};

// As the archive's CREATE DATABASE says; what it does not say stays as above. Pure.
DatabaseSpec archive_database_spec(const ArchiveToc& toc);

// Of a backup with its manifest. The manifest comes first; older ones say nothing of providers, and
// none says anything of the tablespace: that is taken from the archive. Pure.
DatabaseSpec backup_database_spec(const Manifest& manifest, const ArchiveToc& toc);

// Of a database of the connected server, 12 to 18. Throws Error(not_found) if it is not there.
DatabaseSpec read_database_spec(Connection& connection, const std::string& database);

// "ICU locale de-DE over locale C.utf8", "locale en_US.UTF-8 (character types C)". Pure.
std::string locale_text(const DatabaseSpec& spec);

// Whether text sorts the same in both, as far as names tell: servers write one locale in several
// ways (C.utf8 and C.UTF-8, de_DE and de-DE). True if `wanted` does not say. Pure.
bool same_locale(const DatabaseSpec& wanted, const DatabaseSpec& found);

// Whether a server knows the provider at all; its locales may still be missing.
bool has_locale_provider(Connection& server, const std::string& provider);

}  // namespace holdfast
