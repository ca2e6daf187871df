// Which settings a compute's server gets, and why: the lists behind server_config.h.
//
// They come from five places, each beating the ones before: sizes (of the compute), source (what
// changes the meaning of queries, by an allow list), user, brought (what recovery needs), and
// quarantine. Quarantine is what keeps a branch from reaching outside, from letting in others than
// its own clients, from losing its WAL, and from writing people's rows into its log: that one gets
// no statements, parameters, details or messages of failed statements, for all of them can quote
// rows. What clients did wrong is told to them alone.
//
// Pure functions. Names of settings compare without regard to case, as PostgreSQL's do.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

using Setting = std::pair<std::string, std::string>;

struct ServerPlan {
  int major = 0;
  std::string data_folder, socket_folder;
  std::string listen_address;
  int port = 0;
  std::string certificate_file, key_file;
  double compute_units = 0.25;
  bool recovering = false;              // the start that recovers: with brought settings
  bool shared_memory_is_small = false;  // /dev/shm, as in containers
  std::vector<Setting> brought;
  std::map<std::string, std::string> source;  // pg_settings of the source
  std::map<std::string, std::string> user;
  // What this machine has; tests say so themselves.
  std::function<bool(const std::string&)> has_library;  // a name of shared_preload_libraries
  std::function<bool(const std::string&)> has_locale;
};

// Of a compute of so many units (1: 4 GiB of memory).
std::vector<Setting> size_settings(double compute_units);

// Those of the source's settings that decide anything here; the rest, which may hold secrets
// (primary_conninfo), is not kept.
std::map<std::string, std::string> settings_that_matter(
    const std::map<std::string, std::string>& source);

// The source's settings that are carried over, with libraries and locales that are not here left
// out.
std::vector<Setting> carried_settings(const ServerPlan& plan);

// The quarantine: first its ways in and out, then (quarantine_settings has both) the rest.
std::vector<Setting> outward_settings(const ServerPlan& plan);
std::vector<Setting> quarantine_settings(const ServerPlan& plan);

// Libraries that are not loaded into a branch although they are here: they act on their own, and
// outside, or log statements.
bool acts_outside(std::string_view library);

bool same_setting(std::string_view a, std::string_view b);
bool is_library_list(std::string_view name);  // such as shared_preload_libraries
// The value of one, without libraries that are not here or act outside.
std::string kept_libraries(const ServerPlan& plan, const std::string& value);

}  // namespace holdfast
