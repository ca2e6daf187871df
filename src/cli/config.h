// The effective configuration: for every row of the option table its value and where that comes
// from. Flags beat the environment, the environment beats holdfast.toml ([source.NAME] before the
// top level), the file beats defaults.
//
// Strict: an unknown key, a value of the wrong kind or out of range is Error(invalid) that names
// its place, and nothing is done then. An empty environment variable counts as not set (that is how
// CI systems pass secrets that do not exist). Secrets are kept as Secret and leave by secret() or
// source_conninfo() only. Immutable once loaded.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "cli/arguments.h"
#include "operate/drill_query.h"
#include "pg/conninfo.h"

namespace holdfast {

using Environment = std::map<std::string, std::string>;

struct Setting {
  const Option* option = nullptr;
  std::vector<std::string> values;  // of secrets and URLs none
  Secret secret;                    // of secrets and URLs
  bool given = false;               // by anything but the default
  std::string origin;               // "--dir", "BACKUP_DIR", "holdfast.toml:3", "default"
};

// Where backups are kept: a folder or a bucket, and its settings. "local" and "s3" are the source's
// own (BACKUP_DIR and the other rows of the option table's group "Stores"); others are tables
// [store.NAME] with the same keys, without their "s3_".
struct StoreConfig {
  std::string name;
  bool is_bucket = false;
  std::map<std::string, Setting, std::less<>> settings;  // by the option's name

  const Setting& setting(std::string_view option) const;
  bool given(std::string_view option) const { return setting(option).given; }
  std::string text(std::string_view option) const;  // "" if there is no value
};

class Config {
 public:
  // Throws Error(invalid).
  static Config load(const Arguments& arguments, const Environment& environment);

  const std::vector<Setting>& settings() const { return settings_; }
  const Setting& setting(std::string_view name) const;
  bool given(std::string_view name) const { return setting(name).given; }
  std::string text(std::string_view name) const;  // "" if there is no value
  int64_t number(std::string_view name) const;
  bool flag(std::string_view name) const { return text(name) == "true"; }
  const std::vector<std::string>& list(std::string_view name) const;
  const Secret& secret(std::string_view name) const { return setting(name).secret; }
  // Of a setting that names a file with a secret: its one line. Throws Error(invalid).
  Secret secret_in_file(std::string_view name) const;

  // The chosen source: "default" without a name, "" if there are several and none was chosen.
  const std::string& source_name() const { return source_name_; }
  const std::vector<std::string>& source_names() const { return source_names_; }
  bool source_chosen_by_name() const { return source_chosen_by_name_; }
  // Throws Error(invalid) that lists the sources if there are several and none was chosen.
  void require_source() const;

  // The file that was read, or "".
  const std::string& file() const { return file_; }
  // What is allowed and yet unwise, each with its next step. For people.
  const std::vector<std::string>& warnings() const { return warnings_; }

  // The stores of the source, "local" first; with --store (or `stores`) only those, in that order.
  const std::vector<StoreConfig>& stores() const { return stores_; }
  // Those that are configured at all.
  const std::vector<StoreConfig>& all_stores() const { return all_stores_; }
  std::vector<std::string> store_names() const;
  // By its name. Throws Error(invalid), said to come from `origin`, if there is none.
  const StoreConfig& store(const std::string& name, const std::string& origin) const;
  // [drill.query.NAME], in the order of the file.
  const std::vector<DrillQuestion>& drill_questions() const { return drill_questions_; }
  // The environment it was loaded from: AWS_* is for the SDK-like parts to read.
  const Environment& environment() const { return environment_; }

  // Whether a database is configured for the source.
  bool has_database() const { return given("database_url") || given("database_url_file"); }
  // It, with its password. Reads the files that hold URL or password. Throws Error(invalid).
  Conninfo source_conninfo() const;

 private:
  Config() = default;
  void choose_stores(std::vector<StoreConfig> tables);
  void warn_about_file_mode(const std::vector<std::string>& places);
  void warn_about_overrides(const std::string& source_table_place);

  std::vector<DrillQuestion> drill_questions_;
  std::vector<Setting> settings_;  // one per row of the table, in its order
  std::string source_name_ = "default";
  std::vector<std::string> source_names_;
  bool source_chosen_by_name_ = false;
  std::vector<StoreConfig> stores_, all_stores_;
  Environment environment_;
  std::string file_;
  std::vector<std::string> warnings_;
};

}  // namespace holdfast
