// holdfast.toml as a flat list of keys with their lines, so that toml++ stays in one file and the
// rest can say `holdfast.toml:12: …`.
//
// Allowed are keys at the top level, in tables [source.NAME], [store.NAME] and [drill.query.NAME],
// and in tables of one name ([engine], [audit], …); which names and keys, config.cc knows. Pure.
// Bounded by the reader: a file is at most kTomlBytesMax.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

constexpr uint64_t kTomlBytesMax = 1 << 20;

enum class TomlType { text, number, boolean, list, other };

struct TomlEntry {
  std::string key;
  TomlType type = TomlType::other;
  std::vector<std::string> values;  // one, or a list's; empty for `other`
  std::string type_name;            // for errors: "a date", "a table"
  unsigned line = 0;
};

struct TomlTable {
  std::string name;  // "care" of [source.care]
  unsigned line = 0;
  std::vector<TomlEntry> entries;
  std::vector<TomlTable> sections{};  // [source.care.schedule]; of sources alone
};

struct TomlFile {
  std::vector<TomlEntry> entries;          // of the top level
  std::vector<TomlTable> drill_queries;    // [drill.query.NAME], in the order of the file
  std::vector<TomlTable> sources, stores;  // in the order of the file
  std::vector<TomlTable> sections;         // all other tables: [engine]
};

// Throws Error(invalid), `<name>:<line>: …`, for what is not TOML or not of this shape. The message
// repeats no value.
TomlFile parse_toml(std::string_view text, const std::string& name);

}  // namespace holdfast
