// Name patterns as pg_dump and psql take them (`--schema`, `--exclude-table-data`): `*` and `?` are
// wildcards, letters are folded to lower case outside double quotes, a dot separates schema and
// name. Source: PostgreSQL manual, psql, "Patterns". Only for looking ahead (preflight): pg_dump
// itself decides what is dumped.
#pragma once

#include <string>

namespace holdfast {

struct NamePattern {
  std::string schema_regex;  // empty: any
  std::string name_regex;
};

// Regular expressions in PostgreSQL's syntax, anchored. For a schema pattern only name_regex
// counts.
NamePattern parse_name_pattern(const std::string& pattern);

}  // namespace holdfast
