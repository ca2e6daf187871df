#include "cli/config_keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr std::string_view kStorePrefix = "s3_";

// The option's key in a table [store.NAME].
std::string store_key(const Option& option) {
  return option.name == "dir" ? option.name : option.name.substr(kStorePrefix.size());
}

// "engine" of an option whose key is `engine.listen`: the table that it stands in. "" of all
// others.
std::string section_of(const Option& option) {
  size_t dot = option.key.find('.');
  return dot == std::string::npos ? std::string() : option.key.substr(0, dot);
}

std::string key_in_section(const Option& option) {
  return option.key.substr(option.key.find('.') + 1);
}

bool is_section(const std::string& name) {
  const std::vector<Option>& all = option_table();
  return std::any_of(all.begin(), all.end(),
                     [&](const Option& option) { return section_of(option) == name; });
}

std::vector<std::string> toml_keys() {
  std::vector<std::string> keys = {"source", "store"};
  for (const Option& option : option_table()) {
    std::string key = section_of(option).empty() ? option.key : section_of(option);
    if (!key.empty() && (keys.empty() || keys.back() != key)) keys.push_back(key);
  }
  return keys;
}

}  // namespace

Error invalid_at(const std::string& place, const std::string& message, std::string hint) {
  return Error(ErrorCode::invalid, fmt::format("{}: {}", place, message), std::move(hint));
}

bool is_of_a_store(const Option& option) {
  return option.name == "dir" || option.name.starts_with(kStorePrefix);
}

const Option& option_of_key(const std::string& key, const std::string& place) {
  if (is_section(key))
    throw invalid_at(place, fmt::format("{} must be a table, as in [{}]", key, key));
  for (const Option& option : option_table()) {
    std::string section = section_of(option);
    if (section.empty() && !option.key.empty() && option.key == key) return option;
    if (!section.empty() && (option.name == key || option.key == key || option.variable == key))
      throw invalid_at(place, fmt::format("'{}' does not belong here", key),
                       fmt::format("write {} in the table [{}]", key_in_section(option), section));
  }
  for (const Option& option : option_table()) {
    if (option.name != key && option.variable != key) continue;
    if (option.variable.empty())
      throw invalid_at(place, fmt::format("'{}' is a flag only", key),
                       fmt::format("give it as {}", option.flag));
    if (option.key.empty())
      throw invalid_at(place, fmt::format("'{}' does not belong into a file", key),
                       fmt::format("set the environment variable {}", option.variable));
  }
  throw invalid_at(
      place, fmt::format("unknown key '{}'{}", printable(key, 60), did_you_mean(key, toml_keys())));
}

// A key of [store.NAME]: `dir`, or what is "s3_<key>" elsewhere.
const Option& option_of_store_key(const std::string& key, const std::string& place) {
  std::vector<std::string> known;
  for (const Option& option : option_table()) {
    if (!is_of_a_store(option)) continue;
    known.push_back(store_key(option));
    if (known.back() == key) return option;
  }
  throw invalid_at(
      place,
      fmt::format("unknown key '{}' of a store{}", printable(key, 60), did_you_mean(key, known)),
      fmt::format("keys: {}", fmt::join(known, ", ")));
}

// A key of [audit], say: what is `audit.<key>` in the option table.
const Option& option_of_section_key(const std::string& section, const std::string& key,
                                    const std::string& place) {
  std::vector<std::string> known;
  for (const Option& option : option_table()) {
    if (section_of(option) != section) continue;
    known.push_back(key_in_section(option));
    if (known.back() == key) return option;
  }
  throw invalid_at(place,
                   fmt::format("unknown key '{}' of [{}]{}", printable(key, 60), section,
                               did_you_mean(key, known)),
                   fmt::format("keys: {}", fmt::join(known, ", ")));
}

void require_section(const std::string& name, const std::string& place) {
  if (!is_section(name))
    throw invalid_at(place, fmt::format("unknown key '{}'{}", printable(name, 60),
                                        did_you_mean(name, toml_keys())));
}

bool may_be_of_a_source(const std::string& section) {
  return section == "schedule" || section == "objectives";
}

}  // namespace holdfast
