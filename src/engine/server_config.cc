#include "engine/server_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

// Lines of the file that are no settings, though they look like it; and settings that would have
// the server write or read elsewhere, and which PostgreSQL takes no empty value for.
constexpr auto kNotForUsers = std::to_array<std::string_view>(
    {"include", "include_if_exists", "include_dir", "data_directory", "config_file",
     "external_pid_file", "log_directory", "stats_temp_directory"});

bool is_setting_name(const std::string& name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '$';
  });
}

void check_users(const std::string& name, const std::string& value) {
  if (!is_setting_name(name))
    throw Error(ErrorCode::invalid,
                fmt::format("{} is no setting of PostgreSQL", printable(name, 80)),
                "SELECT name FROM pg_settings lists them");
  if (std::any_of(kNotForUsers.begin(), kNotForUsers.end(),
                  [&](std::string_view other) { return same_setting(name, other); }))
    throw Error(ErrorCode::invalid, fmt::format("{} cannot be set for an endpoint", name));
  if (value.find('\0') != std::string::npos)
    throw Error(ErrorCode::invalid, fmt::format("the value of {} holds a zero byte", name));
}

std::string quoted_setting(std::string_view value) {
  std::string result = "'";
  for (char c : value) {
    if (c == '\n') {
      result += "\\n";
    } else if (c == '\r') {
      result += "\\r";
    } else {
      if (c == '\'' || c == '\\') result += c == '\'' ? '\'' : '\\';
      result += c;
    }
  }
  return result + "'";
}

std::optional<int64_t> whole_number(const std::string& text) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// What recovery demands at least: names begin with max_.
bool is_floor(std::string_view name) {
  return same_setting(name.substr(0, 4), "max_");
}

// Sections in order; a later setting beats an earlier one of the same name, as in PostgreSQL, but
// those that recovery needs a least value of never fall below it.
class ConfigText {
 public:
  explicit ConfigText(const std::vector<Setting>& floors) : floors_(floors) {}

  void section(std::string_view title, const std::vector<Setting>& settings) {
    text_ += fmt::format("\n# {}\n", title);
    for (const auto& [name, value] : settings)
      text_ += fmt::format("{} = {}\n", name, quoted_setting(not_below_floor(name, value)));
  }

  std::string text() const {
    return "# Written by holdfast before every start: changes in this file are lost. ALTER SYSTEM\n"
           "# and the endpoint's settings stay, but for those of the last section.\n" +
           text_;
  }

 private:
  const std::string& not_below_floor(const std::string& name, const std::string& value) const {
    for (const auto& [floor_name, floor] : floors_) {
      if (!same_setting(name, floor_name)) continue;
      auto number = whole_number(value), least = whole_number(floor);
      if (least && (!number || *number < *least)) return floor;
    }
    return value;
  }

  const std::vector<Setting>& floors_;
  std::string text_;
};

}  // namespace

std::string postgresql_conf(const ServerPlan& plan) {
  const std::vector<Setting> quarantine = quarantine_settings(plan);
  auto is_ours = [&](const std::string& name) {
    return std::any_of(quarantine.begin(), quarantine.end(),
                       [&](const Setting& setting) { return same_setting(setting.first, name); });
  };
  std::vector<Setting> user, recovery, floors;
  for (const auto& [name, value] : plan.user) {
    check_users(name, value);
    if (is_ours(name)) continue;
    bool libraries = is_library_list(name);
    user.emplace_back(name, libraries ? kept_libraries(plan, value) : value);
  }
  for (const Setting& setting : plan.brought) {
    if (is_ours(setting.first)) continue;
    (is_floor(setting.first) ? floors : recovery).push_back(setting);
  }

  ConfigText config(floors);
  config.section("What recovery demands at least; larger values below win", floors);
  config.section("Sizes of this compute", size_settings(plan.compute_units));
  config.section("Carried over from the source: what changes the meaning of queries",
                 carried_settings(plan));
  config.section("The endpoint's own settings", user);
  if (plan.recovering) config.section("Recovery", recovery);
  config.section("Quarantine: these win", quarantine);
  return config.text();
}

std::vector<std::string> quarantine_arguments(const ServerPlan& plan) {
  std::vector<std::string> arguments;
  for (const auto& [name, value] : outward_settings(plan)) {
    arguments.emplace_back("-c");
    arguments.push_back(name + "=" + value);
  }
  return arguments;
}

std::string pg_hba_conf(const std::string& listen_address, bool open) {
  std::string text =
      "# Written by holdfast: changes in this file are lost.\n"
      "# The engine, through a socket in a folder that only its own user can enter.\n"
      "local all all trust\n";
  if (!open) return text + "# Clients are let in when the branch is ready for them.\n";
  text += "# Clients: TLS and SCRAM only.\n";
  if (!is_loopback(listen_address)) return text + "hostssl all all all scram-sha-256\n";
  return text +
         "hostssl all all 127.0.0.0/8 scram-sha-256\n"
         "hostssl all all ::1/128 scram-sha-256\n";
}

}  // namespace holdfast
