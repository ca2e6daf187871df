#include "cli/toml_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

Error at_line(const std::string& name, unsigned line, const std::string& message) {
  return Error(ErrorCode::invalid, fmt::format("{}:{}: {}", name, line, message));
}

unsigned line_of(const toml::node& node) {
  return node.source().begin.line;
}

const char* type_name_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "text";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a fraction";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

TomlEntry read_list(const toml::array& array, TomlEntry entry) {
  for (const toml::node& element : array) {
    const auto* text = element.as_string();
    if (text == nullptr) {  // of the kinds of settings there are, only texts come in lists
      entry.type_name = fmt::format("a list with {} in it", type_name_of(element));
      entry.values.clear();
      return entry;
    }
    entry.values.push_back(text->get());
  }
  entry.type = TomlType::list;
  return entry;
}

TomlEntry read_entry(std::string_view key, unsigned line, const toml::node& node) {
  TomlEntry entry{std::string(key), TomlType::other, {}, type_name_of(node), line};
  if (const auto* text = node.as_string()) {
    entry.type = TomlType::text;
    entry.values = {text->get()};
  } else if (const auto* number = node.as_integer()) {
    entry.type = TomlType::number;
    entry.values = {std::to_string(number->get())};
  } else if (const auto* boolean = node.as_boolean()) {
    entry.type = TomlType::boolean;
    entry.values = {boolean->get() ? "true" : "false"};
  } else if (const auto* array = node.as_array()) {
    return read_list(*array, std::move(entry));
  }
  return entry;
}

std::vector<TomlEntry> read_table(const toml::table& table) {
  std::vector<TomlEntry> entries;
  for (auto&& [key, node] : table)
    entries.push_back(read_entry(key.str(), key.source().begin.line, node));
  // toml++ sorts by key; errors should come in the order of the file.
  std::stable_sort(entries.begin(), entries.end(),
                   [](const TomlEntry& a, const TomlEntry& b) { return a.line < b.line; });
  return entries;
}

void sort_by_line(std::vector<TomlTable>& tables) {
  std::stable_sort(tables.begin(), tables.end(),
                   [](const TomlTable& a, const TomlTable& b) { return a.line < b.line; });
}

// A table of one name and what stands in it, the tables among it too.
TomlTable read_nested_table(std::string_view name, unsigned line, toml::table table) {
  TomlTable read{std::string(name), line, {}, {}};
  for (auto&& [key, node] : table)
    if (const toml::table* section = node.as_table())
      read.sections.push_back(
          {std::string(key.str()), key.source().begin.line, read_table(*section), {}});
  sort_by_line(read.sections);
  for (const TomlTable& section : read.sections) table.erase(section.name);
  read.entries = read_table(table);
  return read;
}

// The tables of [source.NAME] or [store.NAME].
std::vector<TomlTable> read_tables(const toml::node& node, const std::string& name,
                                   const std::string& kind, const std::string& example) {
  const toml::table* table = node.as_table();
  if (table == nullptr)
    throw at_line(name, line_of(node),
                  fmt::format("{} must be a table with a name, as in [{}]", kind, example));
  std::vector<TomlTable> tables;
  for (auto&& [key, value] : *table) {
    const toml::table* keys = value.as_table();
    if (keys == nullptr)
      throw at_line(name, key.source().begin.line,
                    fmt::format("'{}' in [{}] belongs into a table with a name, as in [{}]",
                                printable(key.str(), 60), kind, example));
    unsigned line = key.source().begin.line;
    if (kind == "source")
      tables.push_back(read_nested_table(key.str(), line, *keys));
    else
      tables.push_back({std::string(key.str()), line, read_table(*keys), {}});
  }
  sort_by_line(tables);
  return tables;
}

}  // namespace

TomlFile parse_toml(std::string_view text, const std::string& name) {
  toml::table root;
  try {
    root = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    throw at_line(name, error.source().begin.line, printable(error.description(), 200));
  }
  TomlFile file;
  if (const toml::node* node = root.get("source"))
    file.sources = read_tables(*node, name, "source", "source.care");
  if (const toml::node* node = root.get("store"))
    file.stores = read_tables(*node, name, "store", "store.offsite");
  for (const char* table : {"source", "store"}) root.erase(table);
  if (toml::table* drill = root["drill"].as_table())
    if (const toml::node* node = drill->get("query")) {
      file.drill_queries = read_tables(*node, name, "drill.query", "drill.query.no-orphans");
      drill->erase("query");
    }
  for (auto&& [key, node] : root)
    if (const toml::table* table = node.as_table())
      file.sections.push_back(
          {std::string(key.str()), key.source().begin.line, read_table(*table), {}});
  sort_by_line(file.sections);
  for (const TomlTable& section : file.sections) root.erase(section.name);
  file.entries = read_table(root);
  return file;
}

}  // namespace holdfast
