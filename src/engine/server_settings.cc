#include "engine/server_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"

namespace holdfast {
namespace {

// What changes the result or the meaning of a query, or whether it runs at all. Not here, on
// purpose: memory and disk (they are the compute's), time-outs and logging (the operator's),
// default_transaction_read_only (a branch is there to be written to).
constexpr auto kMeaning = std::to_array<std::string_view>(
    {// how values are read and written
     "DateStyle", "IntervalStyle", "TimeZone", "timezone_abbreviations", "extra_float_digits",
     "bytea_output", "xmlbinary", "xmloption", "array_nulls", "client_encoding",
     "default_text_search_config",
     // what names and text mean
     "search_path", "standard_conforming_strings", "backslash_quote", "escape_string_warning",
     "quote_all_identifiers", "transform_null_equals", "row_security",
     "restrict_nonsystem_relation_kind", "check_function_bodies", "lo_compat_privileges",
     "createrole_self_grant", "event_triggers", "icu_validation_level",
     // transactions and tables
     "default_transaction_isolation", "default_transaction_deferrable",
     "default_table_access_method", "default_toast_compression", "default_tablespace",
     "temp_tablespaces", "track_commit_timestamp", "synchronize_seqscans", "max_stack_depth",
     "gin_fuzzy_search_limit",
     // how many locks a transaction may take
     "max_locks_per_transaction", "max_pred_locks_per_transaction", "max_pred_locks_per_relation",
     "max_pred_locks_per_page", "max_prepared_transactions",
     // which plans queries get, so that they can be tried on a branch
     "default_statistics_target", "random_page_cost", "seq_page_cost", "cpu_tuple_cost",
     "cpu_index_tuple_cost", "cpu_operator_cost", "from_collapse_limit", "join_collapse_limit",
     "constraint_exclusion", "plan_cache_mode", "jit", "jit_above_cost"});

// Locales that this machine lacks would keep the server from starting. lc_messages is ours.
constexpr auto kLocales = std::to_array<std::string_view>({"lc_monetary", "lc_numeric", "lc_time"});

constexpr auto kLibraryLists =
    std::to_array<std::string_view>({"shared_preload_libraries", "session_preload_libraries"});

constexpr char kTimescaleWorkers[] = "timescaledb.max_background_workers";

// Jobs, web requests, replication and cluster membership of the source's: on a branch they would
// run a second time, or answer for the source.
constexpr auto kActOutside = std::to_array<std::string_view>(
    {"pg_cron", "pg_net", "pglogical", "spock", "bdr", "repmgr", "pgautofailover",
     "pg_failover_slots", "pg_partman_bgw", "pg_squeeze", "pg_timetable", "basebackup_to_shell",
     "basic_archive", "auto_explain"});

template <typename Names>
bool is_one_of(std::string_view name, const Names& names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view other) { return same_setting(name, other); });
}

// An element of a list setting such as unix_socket_directories, so that commas in it are its own.
std::string list_element(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::vector<std::string> list_elements(const std::string& value) {
  std::vector<std::string> elements;
  std::string element;
  bool quoted = false;
  for (char c : value) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      elements.emplace_back(trim(element));
      element.clear();
    } else {
      element += c;
    }
  }
  elements.emplace_back(trim(element));
  std::erase(elements, "");
  return elements;
}

const std::string* find(const std::map<std::string, std::string>& settings, std::string_view name) {
  for (const auto& [other, value] : settings)
    if (same_setting(other, name)) return &value;
  return nullptr;
}

bool wants_logical(const ServerPlan& plan) {
  const std::string* users = find(plan.user, "wal_level");
  const std::string* source = find(plan.source, "wal_level");
  const std::string* level = users != nullptr ? users : source;
  return level != nullptr && lower(*level) == "logical";
}

}  // namespace

bool same_setting(std::string_view a, std::string_view b) {
  return lower(a) == lower(b);
}

bool is_library_list(std::string_view name) {
  return is_one_of(name, kLibraryLists);
}

bool acts_outside(std::string_view library) {
  library = library.substr(library.rfind('/') + 1);  // npos + 1 is 0
  if (library.ends_with(".so")) library.remove_suffix(3);
  return is_one_of(library, kActOutside);
}

std::string kept_libraries(const ServerPlan& plan, const std::string& value) {
  std::string kept;
  for (const std::string& library : list_elements(value)) {
    if (acts_outside(library) || !plan.has_library(library)) continue;
    kept += (kept.empty() ? "" : ", ") + list_element(library);
  }
  return kept;
}

std::vector<Setting> size_settings(double compute_units) {
  constexpr double kMegabytesPerUnit = 4096;
  const double memory = std::max(compute_units, 0.125) * kMegabytesPerUnit;
  auto megabytes = [](double value, double least, double most) {
    return fmt::format("{}MB", std::lround(std::clamp(value, least, most)));
  };
  const auto connections = std::lround(std::clamp(450 * compute_units, 100.0, 4000.0));
  return {{"shared_buffers", megabytes(memory / 8, 64, 1 << 20)},
          {"effective_cache_size", megabytes(memory * 3 / 4, 256, 4 << 20)},
          {"maintenance_work_mem", megabytes(memory / 16, 32, 2047)},
          {"work_mem", megabytes(memory / 256, 4, 256)},
          {"max_connections", std::to_string(connections)},
          {"max_wal_size", "1GB"}};
}

std::map<std::string, std::string> settings_that_matter(
    const std::map<std::string, std::string>& source) {
  std::map<std::string, std::string> kept;
  for (const auto& [name, value] : source)
    if (is_one_of(name, kMeaning) || is_one_of(name, kLocales) || is_one_of(name, kLibraryLists) ||
        name.starts_with("plpgsql.") || name == kTimescaleWorkers || name == "wal_level")
      kept[name] = value;
  return kept;
}

std::vector<Setting> carried_settings(const ServerPlan& plan) {
  std::vector<Setting> carried;
  for (const auto& [name, value] : plan.source) {
    if (is_one_of(name, kMeaning) || name.starts_with("plpgsql.")) {
      carried.emplace_back(name, value);
    } else if (is_one_of(name, kLocales)) {
      if (plan.has_locale(value)) carried.emplace_back(name, value);
    } else if (is_library_list(name)) {
      carried.emplace_back(name, kept_libraries(plan, value));
    } else if (name == kTimescaleWorkers) {
      carried.emplace_back(name, "0");  // its jobs are the source's
    }
  }
  return carried;
}

// Ways in and out: these also go on the command line.
std::vector<Setting> outward_settings(const ServerPlan& plan) {
  std::vector<Setting> settings = {
      {"listen_addresses", plan.listen_address},
      {"port", std::to_string(plan.port)},
      {"unix_socket_directories", list_element(plan.socket_folder)},
      {"unix_socket_permissions", "0700"},
      {"unix_socket_group", ""},
      {"hba_file", plan.data_folder + "/pg_hba.conf"},
      {"ident_file", plan.data_folder + "/pg_ident.conf"},
      {"ssl", "on"},
      {"ssl_cert_file", plan.certificate_file},
      {"ssl_key_file", plan.key_file},
      {"archive_mode", "off"},
      {"archive_command", ""},
      {"primary_conninfo", ""},
      {"primary_slot_name", ""},
      {"synchronous_standby_names", ""},
      {"max_logical_replication_workers", "0"},
      // The branch's history is in its pg_wal: nothing of it may be recycled.
      {"wal_level", wants_logical(plan) ? "logical" : "replica"},
      {"wal_keep_size", "1024TB"},
      {"fsync", "on"},
      {"full_page_writes", "on"}};
  if (plan.major >= 15) settings.emplace_back("archive_library", "");
  if (plan.major >= 17) {
    settings.emplace_back("sync_replication_slots", "off");
    settings.emplace_back("synchronized_standby_slots", "");
  }
  return settings;
}

std::vector<Setting> quarantine_settings(const ServerPlan& plan) {
  std::vector<Setting> settings = outward_settings(plan);
  const std::vector<Setting> inward = {
      {"archive_cleanup_command", ""},
      {"recovery_end_command", ""},
      {"ssl_ca_file", ""},
      {"ssl_crl_file", ""},
      {"ssl_passphrase_command", ""},
      {"ssl_min_protocol_version", "TLSv1.2"},
      {"password_encryption", "scram-sha-256"},
      {"huge_pages", "off"},
      {"dynamic_shared_memory_type", plan.shared_memory_is_small ? "mmap" : "posix"},
      {"restart_after_crash", "on"},
      {"track_activities", "on"},
      {"track_counts", "on"},
      {"lc_messages", "C"},
      {"logging_collector", "off"},
      {"log_destination", "stderr"},
      {"log_line_prefix", "%m [%p] "},
      {"log_timezone", "UTC"},
      {"log_min_messages", "log"},
      {"log_min_error_statement", "panic"},
      {"log_error_verbosity", "terse"},
      {"log_statement", "none"},
      {"log_duration", "off"},
      {"log_min_duration_statement", "-1"},
      {"log_min_duration_sample", "-1"},
      {"log_transaction_sample_rate", "0"},
      {"log_parameter_max_length", "0"},
      {"log_parameter_max_length_on_error", "0"},
      {"log_connections", "off"},
      {"log_disconnections", "off"},
      {"log_replication_commands", "off"},
      {"log_lock_waits", "off"},
      {"log_temp_files", "-1"},
      {"log_autovacuum_min_duration", "-1"},
      {"log_checkpoints", "off"},
      {"debug_print_parse", "off"},
      {"debug_print_rewritten", "off"},
      {"debug_print_plan", "off"}};
  settings.insert(settings.end(), inward.begin(), inward.end());
  if (plan.major >= 14) {
    settings.emplace_back("ssl_crl_dir", "");
    settings.emplace_back("recovery_init_sync_method", "syncfs");
  }
  return settings;
}

}  // namespace holdfast
