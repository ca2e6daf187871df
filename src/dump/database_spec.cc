#include "dump/database_spec.h"

#include <fmt/format.h>

#include "dump/sql_tokens.h"

namespace holdfast {
namespace {

constexpr int kProviderMajor = 15;  // ICU for a whole database
constexpr int kRulesMajor = 16;
constexpr int kBuiltinMajor = 17;  // and one column for the locales of both

std::string provider_name(const std::string& letter) {
  if (letter == "c") return {};
  if (letter == "i") return "icu";
  return letter == "b" ? "builtin" : letter;
}

// `KEY = value` of a CREATE DATABASE.
void take_option(std::string_view key, std::string_view value, DatabaseSpec& spec) {
  if (key == "ENCODING") spec.encoding = plain_literal(value);
  if (key == "LOCALE") spec.collate = spec.ctype = plain_literal(value);
  if (key == "LC_COLLATE") spec.collate = plain_literal(value);
  if (key == "LC_CTYPE") spec.ctype = plain_literal(value);
  if (key == "LOCALE_PROVIDER" && value != "libc") spec.provider = value;
  if (key == "ICU_LOCALE" || key == "BUILTIN_LOCALE") spec.locale = plain_literal(value);
  if (key == "ICU_RULES") spec.icu_rules = plain_literal(value);
  if (key == "TABLESPACE") spec.tablespace = plain_identifier(value);
}

// `de_DE` and `de-DE`, `C.utf8` and `C.UTF-8` become the same.
std::string plain_locale(const std::string& locale) {
  std::string plain;
  for (char c : locale)
    if (c != '-' && c != '_') plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return plain;
}

// ICU's keywords have two ways of writing, which newer servers turn into one:
// `de_DE@collation=phonebook` and `de-DE-u-co-phonebk`. Across them only what is before is
// compared.
bool same_icu_locale(std::string a, std::string b) {
  bool old_a = a.find('@') != std::string::npos, old_b = b.find('@') != std::string::npos;
  if (old_a != old_b)
    for (std::string* locale : {&a, &b}) *locale = locale->substr(0, locale->find('@'));
  if (old_a != old_b)
    for (std::string* locale : {&a, &b}) *locale = locale->substr(0, locale->find("-u-"));
  return plain_locale(a) == plain_locale(b);
}

std::string libc_text(const DatabaseSpec& spec) {
  std::string text = "locale " + spec.collate;
  return spec.ctype == spec.collate ? text
                                    : fmt::format("{} (character types {})", text, spec.ctype);
}

}  // namespace

DatabaseSpec archive_database_spec(const ArchiveToc& toc) {
  DatabaseSpec spec;
  for (const TocEntry& entry : toc.entries) {
    if (entry.desc != "DATABASE") continue;
    auto statements = sql_statements(entry.defn);
    if (statements.empty()) continue;
    const std::vector<std::string_view>& tokens = statements.front();
    for (size_t i = 0; i + 2 < tokens.size(); ++i)
      if (tokens[i + 1] == "=") take_option(tokens[i], tokens[i + 2], spec);
  }
  return spec;
}

DatabaseSpec backup_database_spec(const Manifest& manifest, const ArchiveToc& toc) {
  DatabaseSpec spec = archive_database_spec(toc);
  spec.encoding = manifest.encoding;
  spec.collate = manifest.collate;
  spec.ctype = manifest.ctype;
  if (manifest.locale_provider.empty()) return spec;
  spec.provider = manifest.locale_provider;
  spec.locale = manifest.locale;
  spec.icu_rules = manifest.icu_rules;
  return spec;
}

DatabaseSpec read_database_spec(Connection& connection, const std::string& database) {
  int major = connection.server_major();
  QueryResult found = connection.query(
      fmt::format("SELECT pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype, {}, {},"
                  " {}, t.spcname FROM pg_catalog.pg_database d"
                  " JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace"
                  " WHERE datname = $1",
                  major >= kProviderMajor ? "datlocprovider" : "'c'",
                  major >= kBuiltinMajor    ? "datlocale"
                  : major >= kProviderMajor ? "daticulocale"
                                            : "NULL",
                  major >= kRulesMajor ? "daticurules" : "NULL"),
      {database});
  if (found.rows() != 1) throw Error(ErrorCode::not_found, "database " + database + " is gone");
  DatabaseSpec spec;
  spec.encoding = found.text(0, 0);
  spec.collate = found.text(0, 1);
  spec.ctype = found.text(0, 2);
  spec.provider = provider_name(found.text(0, 3));
  if (!spec.provider.empty()) {
    spec.locale = found.text(0, 4);
    spec.icu_rules = found.text(0, 5);
  }
  if (found.text(0, 6) != "pg_default") spec.tablespace = found.text(0, 6);
  return spec;
}

std::string locale_text(const DatabaseSpec& spec) {
  if (spec.provider.empty()) return libc_text(spec);
  std::string name = spec.provider == "icu" ? "ICU" : spec.provider;
  return fmt::format("{} locale {}{} over {}", name, spec.locale,
                     spec.icu_rules.empty() ? "" : " with its own rules", libc_text(spec));
}

bool same_locale(const DatabaseSpec& wanted, const DatabaseSpec& found) {
  if (wanted.provider != found.provider) return wanted.provider.empty() && wanted.collate.empty();
  if (!wanted.provider.empty() &&
      (!same_icu_locale(wanted.locale, found.locale) || wanted.icu_rules != found.icu_rules))
    return false;
  return (wanted.collate.empty() || plain_locale(wanted.collate) == plain_locale(found.collate)) &&
         (wanted.ctype.empty() || plain_locale(wanted.ctype) == plain_locale(found.ctype));
}

bool has_locale_provider(Connection& server, const std::string& provider) {
  if (provider.empty()) return true;
  if (provider == "builtin") return server.server_major() >= kBuiltinMajor;
  // Servers that were built without ICU have no such collation.
  return provider == "icu" && server.server_major() >= kProviderMajor &&
         server.query("SELECT FROM pg_catalog.pg_collation WHERE collprovider = 'i' LIMIT 1")
                 .rows() > 0;
}

}  // namespace holdfast
