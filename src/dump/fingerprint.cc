#include "dump/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "dump/sql_tokens.h"
#include "seal/sha256.h"

namespace holdfast {

namespace {

using Tokens = std::vector<std::string_view>;

// Led by this, so that fingerprints of different rules are never taken for equal by chance.
constexpr std::string_view kRules = "holdfast schema fingerprint 1\n";

// What describes the database, carries data, or depends on when it was asked.
constexpr std::array<std::string_view, 8> kLeftOut = {
    "DATABASE",   "DATABASE PROPERTIES", "ENCODING", "STDSTRINGS",
    "SEARCHPATH", "TABLE DATA",          "BLOBS",    "STATISTICS DATA"};

// Entries whose owner is their own; the owner of others (an index) is that of their table.
constexpr std::array<std::string_view, 24> kOwned = {"AGGREGATE",
                                                     "COLLATION",
                                                     "CONVERSION",
                                                     "DOMAIN",
                                                     "EVENT TRIGGER",
                                                     "FOREIGN DATA WRAPPER",
                                                     "FOREIGN TABLE",
                                                     "FUNCTION",
                                                     "MATERIALIZED VIEW",
                                                     "OPERATOR",
                                                     "OPERATOR CLASS",
                                                     "OPERATOR FAMILY",
                                                     "PROCEDURAL LANGUAGE",
                                                     "PROCEDURE",
                                                     "PUBLICATION",
                                                     "SCHEMA",
                                                     "SEQUENCE",
                                                     "SERVER",
                                                     "STATISTICS",
                                                     "SUBSCRIPTION",
                                                     "TABLE",
                                                     "TEXT SEARCH CONFIGURATION",
                                                     "TEXT SEARCH DICTIONARY",
                                                     "TYPE"};

// Beginnings of lines' names: what has but one wording, or comes with the data.
constexpr std::array<std::string_view, 5> kNotReworded = {
    "ACL ", "DEFAULT ACL ", "SEQUENCE SET ", "MATERIALIZED VIEW DATA ", "LARGE OBJECT "};

template <size_t kSize>
bool one_of(std::string_view word, const std::array<std::string_view, kSize>& list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool has_own_owner(const std::string& desc) {
  return one_of(desc, kOwned) || desc == "VIEW";
}

bool is_privilege(const std::string& desc) {
  return desc == "ACL" || desc == "DEFAULT ACL";
}

// Said about an object that the tag names with its type: "TABLE visits".
bool is_remark(const std::string& desc) {
  return is_privilege(desc) || desc == "COMMENT" || desc == "SECURITY LABEL";
}

bool is_left_out(const TocEntry& entry, SchemaScope scope) {
  if (one_of(entry.desc, kLeftOut)) return true;
  if (is_privilege(entry.desc) && !scope.owners_and_privileges) return true;
  if (!is_remark(entry.desc)) return false;
  // CREATE EXTENSION brings the extension's comment, and only its owner may change it.
  return entry.tag.starts_with("DATABASE ") ||
         (entry.desc == "COMMENT" && entry.tag.starts_with("EXTENSION "));
}

bool token_is(const Tokens& tokens, size_t at, std::string_view text) {
  return at < tokens.size() && tokens[at] == text;
}

// If a cast to a text type begins at `at`, the place after it, else `at`. A cast with a length is
// none of these: it cuts the text.
size_t after_text_cast(const Tokens& tokens, size_t at) {
  if (!token_is(tokens, at, "::")) return at;
  size_t next = at + 1;
  if (token_is(tokens, next, "pg_catalog") && token_is(tokens, next + 1, ".")) next += 2;
  if (token_is(tokens, next, "character") && token_is(tokens, next + 1, "varying")) {
    next += 2;
  } else if (token_is(tokens, next, "text") || token_is(tokens, next, "bpchar")) {
    next += 1;
  } else {
    return at;
  }
  if (token_is(tokens, next, "(")) return at;
  while (token_is(tokens, next, "[") && token_is(tokens, next + 1, "]")) next += 2;
  return next;
}

// Without parentheses and text casts.
Tokens normal_tokens(std::string_view sql) {
  Tokens tokens = sql_tokens(sql), normal;
  for (size_t i = 0; i < tokens.size();) {
    size_t next = after_text_cast(tokens, i);
    if (next != i) {
      i = next;
      continue;
    }
    if (tokens[i] != "(" && tokens[i] != ")") normal.push_back(tokens[i]);
    ++i;
  }
  return normal;
}

std::string joined(const Tokens& tokens) {
  std::string text;
  for (std::string_view token : tokens) text.append(token).push_back('\n');
  return text;
}

// The roles of a policy in a fixed order: pg_dump names them in the order in which they were made,
// which is another one in another cluster. Names that are keywords are quoted, so a bare TO is one.
std::string normalize_policy(std::string_view sql) {
  Tokens tokens = normal_tokens(sql);
  auto begin = std::find(tokens.begin(), tokens.end(), "TO");
  auto end = std::find_if(begin, tokens.end(), [](std::string_view token) {
    return token == "USING" || token == "WITH" || token == ";";
  });
  if (begin == end) return joined(tokens);
  ++begin;
  std::sort(begin, end);  // the commas come to stand together: as good as any order
  return joined(tokens);
}

// The statements of GRANTs in a fixed order: the order of an access list is not content.
std::string normalize_privileges(std::string_view sql) {
  std::vector<std::string> statements(1);
  for (std::string_view token : sql_tokens(sql)) {
    if (token == ";") {
      statements.emplace_back();
      continue;
    }
    statements.back().append(token).push_back('\n');
  }
  std::sort(statements.begin(), statements.end());
  std::string normal;
  for (const std::string& statement : statements) {
    if (!statement.empty()) normal += statement + ";\n";
  }
  return normal;
}

std::string normal_form(const TocEntry& entry) {
  if (is_privilege(entry.desc)) return normalize_privileges(entry.defn);
  if (entry.desc == "POLICY") return normalize_policy(entry.defn);
  return normalize_definition(entry.defn);
}

std::string name_of(const TocEntry& entry) {
  if (!is_remark(entry.desc)) {
    const std::string& space = entry.name_space;
    return entry.desc + ' ' + (space.empty() ? entry.tag : space + '.' + entry.tag);
  }
  std::string name = entry.desc + ' ' + entry.tag;
  if (!entry.name_space.empty()) name += " in " + entry.name_space;
  // One entry per role that grants, and the tag does not tell them apart.
  if (entry.desc == "DEFAULT ACL") name += " of " + entry.owner;
  return name;
}

// Collects named contents and gives equal names their numbers.
class SchemaLines {
 public:
  void add(std::string name, std::initializer_list<std::string_view> content) {
    std::string joined;
    for (std::string_view part : content) joined.append(part).push_back('\0');
    lines_.emplace_back(std::move(name), sha256_hex(as_bytes(joined)));
  }

  std::map<std::string, std::string> finish() {
    std::sort(lines_.begin(), lines_.end());
    std::map<std::string, std::string> result;
    size_t number = 0;
    for (size_t i = 0; i < lines_.size(); ++i) {
      number = i > 0 && lines_[i].first == lines_[i - 1].first ? number + 1 : 1;
      std::string name = lines_[i].first;
      if (number > 1) name += fmt::format(" ({})", number);
      // A number may meet a name that is written like it.
      while (!result.emplace(name, lines_[i].second).second) name += '\'';
    }
    return result;
  }

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

// Large objects come one an entry (BLOB) or many (BLOB METADATA, from PostgreSQL 17 on: their ids,
// one a line); one line each makes the two the same.
void add_large_objects(const TocEntry& entry, SchemaScope scope, SchemaLines& lines) {
  std::vector<std::string> ids{entry.tag};
  if (entry.desc == "BLOB METADATA") ids = split(entry.defn, '\n');
  for (const std::string& id : ids) {
    if (trim(id).empty()) continue;
    std::string name = "LARGE OBJECT " + std::string(trim(id));
    lines.add(name, {name});
    if (scope.owners_and_privileges) lines.add("OWNER OF " + name, {entry.owner});
  }
}

void add_entry(const TocEntry& entry, SchemaScope scope, SchemaLines& lines) {
  if (is_left_out(entry, scope)) return;
  if (entry.desc == "BLOB" || entry.desc == "BLOB METADATA") {
    add_large_objects(entry, scope, lines);
    return;
  }
  std::string name = name_of(entry);
  std::string defn = normal_form(entry);
  // The schema `public` exists anyway: pg_dump then names only its owner.
  bool only_owner = entry.desc == "SCHEMA" && defn.empty();
  if (!only_owner) {
    lines.add(name, {entry.desc, entry.name_space, entry.tag, entry.access_method, defn});
  }
  if (scope.owners_and_privileges && has_own_owner(entry.desc)) {
    lines.add("OWNER OF " + name, {entry.owner});
  }
}

// Whether a line of this name is made by DDL alone, in words that can differ.
bool is_definition(const std::string& name) {
  return !name.starts_with("OWNER OF ") &&
         std::none_of(kNotReworded.begin(), kNotReworded.end(),
                      [&](std::string_view desc) { return name.starts_with(desc); });
}

// The line `name` with those that have it with another number: numbers go by the texts. (A name
// that has a bracket of its own may find more than these.)
std::map<std::string, std::string> namesakes(const std::map<std::string, std::string>& lines,
                                             const std::string& name) {
  std::string base = name.substr(0, name.find(" ("));
  std::map<std::string, std::string> group;
  for (auto at = lines.lower_bound(base); at != lines.end() && at->first.starts_with(base); ++at) {
    std::string_view rest = std::string_view(at->first).substr(base.size());
    if (rest.empty() || rest.starts_with(" (")) group.insert(*at);
  }
  return group;
}

}  // namespace

std::string normalize_definition(std::string_view sql) {
  return joined(normal_tokens(sql));
}

std::map<std::string, std::string> schema_lines(const ArchiveToc& toc, SchemaScope scope) {
  SchemaLines lines;
  for (const TocEntry& entry : toc.entries) add_entry(entry, scope, lines);
  return lines.finish();
}

std::string schema_fingerprint(const ArchiveToc& toc, SchemaScope scope) {
  Sha256 sum;
  sum.update(as_bytes(kRules));
  for (const auto& [name, hash] : schema_lines(toc, scope)) {
    sum.update(as_bytes(name));
    sum.update(as_bytes(std::string_view("\0", 1)));
    sum.update(as_bytes(hash));
  }
  return sum.finish_hex();
}

std::vector<std::string> compare_schemas(const ArchiveToc& expected, const ArchiveToc& found,
                                         SchemaScope scope, const std::set<std::string>& reworded) {
  auto wanted = schema_lines(expected, scope), present = schema_lines(found, scope);
  std::vector<std::string> missing, different, extra;
  for (const auto& [name, hash] : wanted) {
    auto other = present.find(name);
    if (other == present.end()) {
      missing.push_back("missing: " + printable(name));
    } else if (other->second != hash && !reworded.contains(name)) {
      different.push_back("different: " + printable(name));
    }
  }
  for (const auto& [name, hash] : present) {
    if (!wanted.contains(name)) extra.push_back("extra: " + printable(name));
  }
  missing.insert(missing.end(), different.begin(), different.end());
  missing.insert(missing.end(), extra.begin(), extra.end());
  return missing;
}

std::set<std::string> reworded_entries(const ArchiveToc& expected, const ArchiveToc& found,
                                       const ArchiveToc& alone, SchemaScope scope) {
  auto wanted = schema_lines(expected, scope), present = schema_lines(found, scope),
       defined = schema_lines(alone, scope);
  std::set<std::string> reworded;
  for (const auto& [name, hash] : wanted) {
    auto other = present.find(name);
    if (other == present.end() || other->second == hash || !is_definition(name)) continue;
    if (namesakes(wanted, name).size() == namesakes(present, name).size() &&
        namesakes(present, name) == namesakes(defined, name))
      reworded.insert(name);
  }
  return reworded;
}

}  // namespace holdfast
