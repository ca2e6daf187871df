#include "dump/restore_selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "dump/sql_tokens.h"
#include "pg/encoding.h"

namespace holdfast {
namespace {

using Ids = std::set<int>;

bool is_relation(const TocEntry& entry) {
  return entry.desc == "TABLE" || entry.desc == "FOREIGN TABLE" || entry.desc == "VIEW" ||
         entry.desc == "MATERIALIZED VIEW";
}

bool has_data(const TocEntry& entry) {
  return entry.had_dumper && (entry.desc == "TABLE DATA" || entry.desc == "BLOBS");
}

bool is_acl(const TocEntry& entry) {
  return entry.desc == "ACL" || entry.desc == "DEFAULT ACL";
}

// What belongs to a table and goes where it goes.
bool hangs_on_table(const TocEntry& entry) {
  static const std::set<std::string> kKinds = {
      "INDEX",        "CONSTRAINT",      "CHECK CONSTRAINT", "FK CONSTRAINT",     "TRIGGER",
      "RULE",         "POLICY",          "ROW SECURITY",     "DEFAULT",           "COMMENT",
      "ACL",          "STATISTICS",      "SECURITY LABEL",   "SEQUENCE OWNED BY", "TABLE ATTACH",
      "INDEX ATTACH", "STATISTICS DATA", "SEQUENCE SET",     "SEQUENCE"};
  return kKinds.count(entry.desc) > 0;
}

// `ALTER TABLE … ADD GENERATED … AS IDENTITY`: part of a column's definition, but an entry of its
// own.
bool is_identity(const TocEntry& entry) {
  return entry.desc == "SEQUENCE" && entry.defn.starts_with("ALTER TABLE ");
}

// Puts one entry into its step. pg_restore lets entries without a section belong to the one of the
// entry before them.
class Sorter {
 public:
  explicit Sorter(RestoreSelection& selection) : selection_(selection) {}

  void pass(const TocEntry& entry, bool selected) {
    if (entry.section != Section::none) section_ = entry.section;
    if (!selected) return;
    if (has_data(entry))
      selection_.data.insert(entry.dump_id);
    else if (section_ == Section::post_data || is_acl(entry) || entry.desc == "STATISTICS DATA")
      selection_.after_data.push_back(entry.dump_id);
    else
      selection_.before_data.push_back(entry.dump_id);
  }

 private:
  RestoreSelection& selection_;
  Section section_ = Section::pre_data;
};

// The table of contents as a graph.
class Graph {
 public:
  explicit Graph(const ArchiveToc& toc) {
    for (const TocEntry& entry : toc.entries) by_id_[entry.dump_id] = &entry;
  }
  const TocEntry* find(int id) const {
    auto at = by_id_.find(id);
    return at == by_id_.end() ? nullptr : at->second;
  }
  // `id` and all it needs, directly or not.
  Ids closure(int id) const {
    Ids seen;
    std::vector<int> open = {id};
    while (!open.empty()) {
      const TocEntry* entry = find(open.back());
      open.pop_back();
      if (entry == nullptr || !seen.insert(entry->dump_id).second) continue;
      open.insert(open.end(), entry->dependencies.begin(), entry->dependencies.end());
    }
    return seen;
  }

 private:
  std::map<int, const TocEntry*> by_id_;
};

// "visits", "public.visits", "\"Äpfel\"", "public.\"Odd Name\"" → parts, unquoted.
std::vector<std::string> name_parts(const std::string& name) {
  std::vector<std::string> parts(1);
  bool quoted = false;
  for (size_t i = 0; i < name.size(); ++i) {
    char c = name[i];
    if (c == '"') {
      if (quoted && i + 1 < name.size() && name[i + 1] == '"')
        parts.back() += name[++i];
      else
        quoted = !quoted;
    } else if (c == '.' && !quoted) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// The entries with their names in UTF-8, as they are typed and shown; nothing if they are so.
std::optional<ArchiveToc> with_readable_names(const ArchiveToc& toc) {
  std::string encoding;
  for (const TocEntry& entry : toc.entries)
    if (entry.desc == "ENCODING")  // SET client_encoding = 'LATIN1';
      for (std::string_view token : sql_tokens(entry.defn))
        if (token.size() > 2 && token.front() == '\'') encoding = token.substr(1, token.size() - 2);
  if (encoding == "UTF8") return std::nullopt;
  ArchiveToc readable;
  readable.entries = toc.entries;
  for (TocEntry& entry : readable.entries) {
    entry.tag = text_in_utf8(entry.tag, encoding);
    entry.name_space = text_in_utf8(entry.name_space, encoding);
  }
  return readable;
}

bool named(const TocEntry& entry, const std::string& name) {
  if (entry.desc != "TABLE" && entry.desc != "FOREIGN TABLE") return false;
  if (entry.tag == name || entry.name_space + "." + entry.tag == name) return true;
  std::vector<std::string> parts = name_parts(name);
  if (parts.size() == 1) return entry.tag == parts[0];
  return parts.size() == 2 && entry.name_space == parts[0] && entry.tag == parts[1];
}

int find_table(const ArchiveToc& toc, const std::string& name) {
  const TocEntry* found = nullptr;
  for (const TocEntry& entry : toc.entries) {
    if (!named(entry, name)) continue;
    if (found != nullptr)
      throw Error(ErrorCode::invalid, fmt::format("'{}' fits several tables", printable(name)),
                  fmt::format("say {}.{} or {}.{}", found->name_space, found->tag, entry.name_space,
                              entry.tag));
    found = &entry;
  }
  if (found != nullptr) return found->dump_id;
  std::vector<std::string> known;
  bool qualified = name.find('.') != std::string::npos;
  for (const TocEntry& entry : toc.entries)
    if (entry.desc == "TABLE" || entry.desc == "FOREIGN TABLE")
      known.push_back(qualified ? entry.name_space + "." + entry.tag : entry.tag);
  std::string near = nearest_word(name, known);
  throw Error(
      ErrorCode::not_found, fmt::format("the backup has no table '{}'", printable(name)),
      near.empty() ? "holdfast show ID lists its tables" : fmt::format("did you mean {}?", near));
}

bool depends_on_any(const TocEntry& entry, const Ids& ids) {
  return std::any_of(entry.dependencies.begin(), entry.dependencies.end(),
                     [&](int id) { return ids.count(id) > 0; });
}

// Tables named, and the partitions of those that are partitioned.
Ids with_partitions(const ArchiveToc& toc, const Graph& graph, Ids tables) {
  for (bool grown = true; grown;) {
    grown = false;
    for (const TocEntry& entry : toc.entries) {
      if (entry.desc != "TABLE ATTACH" || !depends_on_any(entry, tables)) continue;
      for (int id : entry.dependencies) {
        const TocEntry* other = graph.find(id);
        if (other != nullptr && is_relation(*other) && entry.tag == other->tag &&
            entry.name_space == other->name_space)
          grown = tables.insert(id).second || grown;
      }
    }
  }
  return tables;
}

class TableSelector {
 public:
  TableSelector(const ArchiveToc& toc, const Ids& tables)
      : toc_(toc), graph_(toc), tables_(with_partitions(toc, graph_, tables)) {}

  RestoreSelection select() {
    for (int id : tables_) take(graph_.closure(id));
    // What hangs on the tables, and on what hangs on them (a comment on an index): three rounds
    // reach every depth that pg_dump makes.
    for (int round = 0; round < 3; ++round)
      for (const TocEntry& entry : toc_.entries)
        if (hangs_on_table(entry) && depends_on_any(entry, anchors())) take_hanging(entry);
    take_sequences();
    take_schemas();

    RestoreSelection selection;
    Sorter sorter(selection);
    for (const TocEntry& entry : toc_.entries) {
      bool data = entry.desc == "TABLE DATA" && depends_on_any(entry, tables_);
      bool setting =
          entry.desc == "ENCODING" || entry.desc == "STDSTRINGS" || entry.desc == "SEARCHPATH";
      sorter.pass(entry, data || setting || (taken_.count(entry.dump_id) > 0 && !has_data(entry)));
    }
    selection.notes = std::move(notes_);
    return selection;
  }

 private:
  const Ids& anchors() {
    anchors_ = tables_;
    anchors_.insert(hanging_.begin(), hanging_.end());
    return anchors_;
  }
  void take(const Ids& ids) { taken_.insert(ids.begin(), ids.end()); }

  void take_hanging(const TocEntry& entry) {
    if (hanging_.count(entry.dump_id) > 0 || left_out_.count(entry.dump_id) > 0) return;
    Ids needed = graph_.closure(entry.dump_id);
    for (int id : needed) {
      const TocEntry* other = graph_.find(id);
      if (other == nullptr || !is_relation(*other) || taken_.count(id) > 0) continue;
      left_out_.insert(entry.dump_id);
      // What belongs to the other table (its foreign key to one of ours) is not missed here.
      if (entry.tag.rfind(other->tag + " ", 0) == 0 && other->name_space == entry.name_space)
        return;
      notes_.push_back(fmt::format("left out: {} {} (it needs {}.{}, which is not restored)",
                                   entry.desc, entry.tag, other->name_space, other->tag));
      return;
    }
    hanging_.insert(entry.dump_id);
    take(needed);
  }

  // Positions and bindings of the sequences that came with the tables (through their defaults), and
  // the identity columns of tables that came because they are needed.
  void take_sequences() {
    for (const TocEntry& entry : toc_.entries)
      if (is_identity(entry) && depends_on_any(entry, taken_)) take_hanging(entry);
    Ids sequences;
    for (int id : taken_)
      if (const TocEntry* entry = graph_.find(id); entry != nullptr && entry->desc == "SEQUENCE")
        sequences.insert(id);
    for (const TocEntry& entry : toc_.entries) {
      bool of_sequence = entry.desc == "SEQUENCE SET" || entry.desc == "SEQUENCE OWNED BY" ||
                         entry.desc == "ACL" || entry.desc == "COMMENT";
      if (of_sequence && depends_on_any(entry, sequences)) take_hanging(entry);
    }
  }

  void take_schemas() {
    Ids more;
    for (int id : taken_) {
      const TocEntry* entry = graph_.find(id);
      for (const TocEntry& schema : toc_.entries)
        if (schema.desc == "SCHEMA" && entry != nullptr && schema.tag == entry->name_space)
          more.insert(schema.dump_id);
    }
    for (const TocEntry& entry : toc_.entries)
      if (entry.desc == "ACL" && depends_on_any(entry, more)) more.insert(entry.dump_id);
    take(more);
  }

  const ArchiveToc& toc_;
  const Graph graph_;
  const Ids tables_;
  Ids taken_, hanging_, left_out_, anchors_;
  std::vector<std::string> notes_;
};

template <typename Visit>
void for_selected(const ArchiveToc& toc, const RestoreSelection& selection, Visit&& visit) {
  Ids ids(selection.before_data.begin(), selection.before_data.end());
  ids.insert(selection.after_data.begin(), selection.after_data.end());
  for (const TocEntry& entry : toc.entries)
    if (ids.count(entry.dump_id) > 0) visit(entry);
}

// Role names stand after these words in what pg_dump writes: GRANT … TO role, REVOKE … FROM role,
// ALTER DEFAULT PRIVILEGES FOR ROLE role, SET SESSION AUTHORIZATION role, CREATE POLICY … TO a, b,
// CREATE USER MAPPING FOR role.
void add_roles_of(const TocEntry& entry, std::set<std::string>& roles) {
  std::vector<std::string_view> tokens = sql_tokens(entry.defn);
  bool mapping = entry.desc == "USER MAPPING";
  auto is = [&](size_t at, const char* word) { return at < tokens.size() && tokens[at] == word; };
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    bool list = is(i, "TO") || is(i, "FROM");
    bool single = is(i, "AUTHORIZATION") ||
                  (is(i, "FOR") && (mapping || is(i + 1, "ROLE") || is(i + 1, "USER")));
    if (!list && !single) continue;
    size_t at = is(i, "FOR") && !mapping ? i + 2 : i + 1;
    while (at < tokens.size()) {
      std::string role = plain_identifier(tokens[at]);
      static const std::set<std::string> kWords = {"PUBLIC",       "CURRENT_USER", "SESSION_USER",
                                                   "CURRENT_ROLE", "public",       "DEFAULT"};
      if (kWords.count(std::string(tokens[at])) == 0) roles.insert(role);
      if (!list || !is(at + 1, ",")) break;
      at += 2;
    }
  }
}

}  // namespace

RestoreSelection select_everything(const ArchiveToc& toc) {
  RestoreSelection selection;
  Sorter sorter(selection);
  for (const TocEntry& entry : toc.entries) sorter.pass(entry, true);
  return selection;
}

RestoreSelection select_tables(const ArchiveToc& toc, const std::vector<std::string>& names) {
  std::optional<ArchiveToc> readable = with_readable_names(toc);
  const ArchiveToc& shown = readable ? *readable : toc;
  Ids tables;
  for (const std::string& name : names) tables.insert(find_table(shown, name));
  return TableSelector(shown, tables).select();
}

std::set<std::string> needed_extensions(const ArchiveToc& toc, const RestoreSelection& selection) {
  std::set<std::string> names;
  for_selected(toc, selection, [&](const TocEntry& entry) {
    if (entry.desc == "EXTENSION") names.insert(entry.tag);
  });
  return names;
}

std::set<std::string> needed_tablespaces(const ArchiveToc& toc, const RestoreSelection& selection) {
  std::set<std::string> names;
  for_selected(toc, selection, [&](const TocEntry& entry) {
    if (!entry.tablespace.empty() && entry.desc != "DATABASE") names.insert(entry.tablespace);
  });
  names.erase("pg_default");
  return names;
}

std::set<std::string> needed_roles(const ArchiveToc& toc, const RestoreSelection& selection,
                                   bool owners, bool privileges) {
  std::set<std::string> roles;
  for_selected(toc, selection, [&](const TocEntry& entry) {
    if (entry.desc.rfind("DATABASE", 0) == 0) return;  // only for pg_restore --create
    if (owners && !entry.owner.empty()) roles.insert(entry.owner);
    if ((privileges && is_acl(entry)) || entry.desc == "POLICY" || entry.desc == "USER MAPPING")
      add_roles_of(entry, roles);
  });
  return roles;
}

void leave_out_extensions(const ArchiveToc& toc, const std::vector<std::string>& names,
                          RestoreSelection& selection) {
  Ids left_out;
  for (const TocEntry& entry : toc.entries)
    for (const std::string& name : names)
      if ((entry.desc == "EXTENSION" && entry.tag == name) || entry.tag == "EXTENSION " + name ||
          entry.tag == "EXTENSION \"" + name + "\"")
        left_out.insert(entry.dump_id);
  auto is_left_out = [&](int id) { return left_out.count(id) > 0; };
  std::erase_if(selection.before_data, is_left_out);
  std::erase_if(selection.after_data, is_left_out);
  for (const std::string& name : names)
    selection.notes.push_back(
        fmt::format("extension {} was left out: the server does not have it", name));
}

std::string list_file(const std::vector<int>& dump_ids) {
  std::string text;
  for (int id : dump_ids) text += fmt::format("{};\n", id);
  return text;
}

}  // namespace holdfast
