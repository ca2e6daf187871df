#include "cli/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/config_keys.h"
#include "cli/toml_file.h"

namespace holdfast {
namespace {

constexpr uint64_t kSecretFileBytesMax = 64 << 10;

constexpr const char* kLocalStore = "local";
constexpr const char* kS3Store = "s3";

bool is_hidden(const Option& option) {
  return option.kind == OptionKind::secret || option.kind == OptionKind::url;
}

// Values that were given in one place, before the place with the highest rank is chosen.
struct Given {
  std::vector<std::string> values;
  std::string origin;
};
using Layer = std::map<const Option*, Given>;

void check_value(const Option& option, const std::string& value, const std::string& place) {
  if (option.kind == OptionKind::choice &&
      std::find(option.choices.begin(), option.choices.end(), value) == option.choices.end())
    throw invalid_at(
        place, fmt::format("{} is not one of {}{}", shown(value), fmt::join(option.choices, ", "),
                           did_you_mean(value, option.choices)));
  if (option.kind == OptionKind::number) {
    int64_t number = 0;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || number < option.least ||
        number > option.most)
      throw invalid_at(place, fmt::format("{} is not a whole number from {} to {}", shown(value),
                                          option.least, option.most));
  }
  bool text_like = option.kind == OptionKind::text || option.kind == OptionKind::list ||
                   option.kind == OptionKind::url || option.kind == OptionKind::secret;
  if (text_like && value.empty()) throw invalid_at(place, "the value is empty");
  if (text_like && value.find('\0') != std::string::npos)
    throw invalid_at(place, "the value holds a zero byte");
}

Setting make_setting(const Option& option, const Given& given, bool by_default) {
  for (const std::string& value : given.values) check_value(option, value, given.origin);
  Setting setting;
  setting.option = &option;
  setting.given = !by_default;
  setting.origin = given.origin;
  if (is_hidden(option))
    setting.secret = Secret(given.values.empty() ? "" : given.values.front());
  else
    setting.values = given.values;
  return setting;
}

Layer flags_layer(const Arguments& arguments) {
  Layer layer;
  for (const auto& [name, values] : arguments.values)
    if (const Option* option = find_option(name)) layer[option] = {values, option->flag};
  return layer;
}

Layer environment_layer(const Environment& environment) {
  Layer layer;
  for (const Option& option : option_table()) {
    if (option.variable.empty()) continue;
    auto found = environment.find(option.variable);
    if (found == environment.end() || found->second.empty()) continue;
    std::vector<std::string> values = {found->second};
    if (option.kind == OptionKind::flag) values = {"true"};
    if (option.kind == OptionKind::list) values = split(found->second, ',');
    layer[&option] = {values, option.variable};
  }
  return layer;
}

void check_type(const Option& option, const TomlEntry& entry, const std::string& place) {
  TomlType wanted = TomlType::text;
  const char* wanted_name = "text";
  switch (option.kind) {
    case OptionKind::number:
      wanted = TomlType::number, wanted_name = "a whole number";
      break;
    case OptionKind::list:
      wanted = TomlType::list, wanted_name = "a list of texts";
      break;
    case OptionKind::flag:
      wanted = TomlType::boolean, wanted_name = "true or false";
      break;
    default:
      break;
  }
  if (entry.type != wanted)
    throw invalid_at(place,
                     fmt::format("{} must be {}, not {}", entry.key, wanted_name, entry.type_name));
}

using OptionOfKey = std::function<const Option&(const std::string& key, const std::string& place)>;

Layer file_layer(const std::vector<TomlEntry>& entries, const std::string& file,
                 const OptionOfKey& find = option_of_key) {
  Layer layer;
  for (const TomlEntry& entry : entries) {
    std::string place = fmt::format("{}:{}", file, entry.line);
    const Option& option = find(entry.key, place);
    check_type(option, entry, place);
    for (const std::string& value : entry.values)
      check_value(option, value, place + ": " + entry.key);
    layer[&option] = {entry.values, place};
  }
  return layer;
}

Setting default_setting(const Option& option) {
  Given by_default{{}, "default"};
  if (!option.default_text.empty()) by_default.values = {option.default_text};
  return make_setting(option, by_default, true);
}

// A table of one name: [engine].
Layer section_layer(const TomlTable& section, const std::string& file) {
  require_section(section.name, fmt::format("{}:{}", file, section.line));
  return file_layer(section.entries, file,
                    [&](const std::string& key, const std::string& place) -> const Option& {
                      return option_of_section_key(section.name, key, place);
                    });
}

// A table [source.NAME], and what it has of its own of the tables of one name.
Layer source_layer(const TomlTable& source, const std::string& file) {
  Layer layer = file_layer(source.entries, file);
  for (const TomlTable& section : source.sections) {
    std::string place = fmt::format("{}:{}", file, section.line);
    require_section(section.name, place);
    if (!may_be_of_a_source(section.name))
      throw invalid_at(place,
                       fmt::format("[source.{}.{}]: a source has no such table of its own",
                                   printable(source.name, 60), section.name),
                       fmt::format("write it as [{}], for all sources", section.name));
    layer.merge(section_layer(section, file));
  }
  return layer;
}

// A table [store.NAME].
StoreConfig read_store(const TomlTable& table, const std::string& file) {
  std::string place = fmt::format("{}:{}", file, table.line);
  if (table.name == kLocalStore || table.name == kS3Store)
    throw invalid_at(place, fmt::format("a store cannot be called '{}'", table.name),
                     "that name is taken: local is the store of `dir`, s3 that of `s3_bucket`");
  Layer layer = file_layer(table.entries, file, option_of_store_key);
  StoreConfig store;
  store.name = table.name;
  for (const Option& option : option_table()) {
    if (!is_of_a_store(option)) continue;
    auto given = layer.find(&option);
    store.settings[option.name] =
        given == layer.end() ? default_setting(option) : make_setting(option, given->second, false);
  }
  store.is_bucket = store.given("s3_bucket");
  if (store.is_bucket == store.given("dir"))
    throw invalid_at(place,
                     fmt::format("store {} needs either a bucket or a dir", shown(store.name)));
  return store;
}

// A table [drill.query.NAME].
DrillQuestion read_drill_question(const TomlTable& table, const std::string& file) {
  DrillQuestion question;
  question.name = table.name;
  for (const TomlEntry& entry : table.entries) {
    std::string place = fmt::format("{}:{}", file, entry.line);
    const std::vector<std::string> known = {"sql", "expect"};
    if (std::find(known.begin(), known.end(), entry.key) == known.end())
      throw invalid_at(place,
                       fmt::format("unknown key '{}' of a drill's query{}",
                                   printable(entry.key, 60), did_you_mean(entry.key, known)),
                       "keys: sql, expect");
    if (entry.type != TomlType::text)
      throw invalid_at(place, fmt::format("{} must be text, not {}", entry.key, entry.type_name));
    (entry.key == "sql" ? question.sql : question.expect) = entry.values.front();
  }
  std::string place = fmt::format("{}:{}", file, table.line);
  if (trim(question.sql).empty())
    throw invalid_at(place, fmt::format("the drill's query {} has no sql", shown(table.name)));
  with_context(place, [&] { check_drill_expectation(question.expect); });
  return question;
}

// Where in the file a database URL with a password stands.
void find_passwords(const Layer& layer, std::vector<std::string>& places) {
  auto found = layer.find(find_option("database_url"));
  if (found == layer.end()) return;
  try {
    if (!Conninfo::parse(found->second.values.front()).password().empty())
      places.push_back(found->second.origin);
  } catch (const Error&) {
    // Not a URL: source_conninfo() says so if it is the one that is used.
  }
}

// The configuration file: named, or the first that is there. "" if there is none.
std::string locate_file(const Layer& flags, const Environment& environment,
                        const Layer& variables) {
  const Option* option = find_option("config");
  for (const Layer* layer : {&flags, &variables})
    if (auto named = layer->find(option); named != layer->end()) {
      const std::string& path = named->second.values.front();
      if (!file_exists(path))
        throw invalid_at(named->second.origin, fmt::format("there is no file {}", printable(path)));
      return path;
    }
  auto variable = [&](const char* name) {
    auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  std::vector<std::string> candidates = {"holdfast.toml"};
  if (std::string xdg = variable("XDG_CONFIG_HOME"); !xdg.empty())
    candidates.push_back(xdg + "/holdfast/holdfast.toml");
  else if (std::string home = variable("HOME"); !home.empty())
    candidates.push_back(home + "/.config/holdfast/holdfast.toml");
  candidates.push_back("/etc/holdfast/holdfast.toml");
  for (const std::string& candidate : candidates)
    if (file_exists(candidate)) return candidate;
  return {};
}

std::string read_text_file(const std::string& path, uint64_t bytes_max) {
  try {
    return read_file(path, bytes_max);
  } catch (const Error& error) {  // whatever it is, the configuration has to be corrected
    throw Error(ErrorCode::invalid, error.what(), error.hint());
  }
}

std::string one_line_of(const std::string& path, const std::string& origin) {
  std::string text =
      with_context(origin, [&] { return read_text_file(path, kSecretFileBytesMax); });
  std::string line(trim(text));
  if (line.empty()) throw invalid_at(origin, fmt::format("{} is empty", path));
  if (line.find('\n') != std::string::npos)
    throw invalid_at(origin, fmt::format("{} has more than one line", path));
  return line;
}

// database_url and database_url_file say the same thing in two ways: within a layer only one may,
// and the layer with the higher rank decides for both.
void choose_one_database(std::vector<Layer>& layers) {
  const Option* url = find_option("database_url");
  const Option* file = find_option("database_url_file");
  bool decided = false;
  for (Layer& layer : layers) {
    if (layer.count(url) > 0 && layer.count(file) > 0)
      throw invalid_at(
          layer[file].origin,
          fmt::format("both {} and {} are given", layer[url].origin, layer[file].origin),
          "keep one of the two");
    if (decided) {
      layer.erase(url);
      layer.erase(file);
    }
    decided = decided || layer.count(url) > 0 || layer.count(file) > 0;
  }
}

}  // namespace

Config Config::load(const Arguments& arguments, const Environment& environment) {
  Config config;
  config.environment_ = environment;
  Layer flags = flags_layer(arguments);
  Layer variables = environment_layer(environment);
  config.file_ = locate_file(flags, environment, variables);

  TomlFile toml;
  if (!config.file_.empty())
    toml = parse_toml(read_text_file(config.file_, kTomlBytesMax), config.file_);
  Layer top = file_layer(toml.entries, config.file_);
  for (const TomlTable& section : toml.sections) top.merge(section_layer(section, config.file_));
  std::vector<std::string> passwords;
  find_passwords(top, passwords);
  std::map<std::string, Layer> sources;
  for (const TomlTable& source : toml.sources) {
    config.source_names_.push_back(source.name);
    sources[source.name] = source_layer(source, config.file_);
    find_passwords(sources[source.name], passwords);
  }

  std::vector<StoreConfig> stores;
  for (const TomlTable& table : toml.stores) stores.push_back(read_store(table, config.file_));

  for (const TomlTable& table : toml.drill_queries)
    config.drill_questions_.push_back(read_drill_question(table, config.file_));

  const Option* source_option = find_option("source");
  const Given* asked = nullptr;
  for (const Layer* layer : {&flags, &variables})
    if (auto found = layer->find(source_option); found != layer->end() && asked == nullptr)
      asked = &found->second;
  const auto& names = config.source_names_;
  if (asked != nullptr) {
    const std::string& name = asked->values.front();
    bool unnamed = names.empty() && name == "default";
    if (!unnamed && sources.count(name) == 0)
      throw invalid_at(
          asked->origin,
          fmt::format("there is no source {}{}", shown(name), did_you_mean(name, names)),
          names.empty() ? "sources are tables [source.NAME] in holdfast.toml"
                        : fmt::format("sources: {}", fmt::join(names, ", ")));
    config.source_name_ = name;
    config.source_chosen_by_name_ = !unnamed;
  } else if (names.size() == 1) {
    config.source_name_ = names.front();
  } else if (names.size() > 1) {
    config.source_name_.clear();
  }

  std::vector<Layer> layers = {std::move(flags), std::move(variables), sources[config.source_name_],
                               std::move(top)};
  const Option* url = find_option("database_url");
  std::string url_in_source = layers[2].count(url) > 0 ? layers[2][url].origin : "";
  choose_one_database(layers);
  for (const Option& option : option_table()) {
    const Given* given = nullptr;
    for (const Layer& layer : layers)
      if (auto found = layer.find(&option); found != layer.end() && given == nullptr)
        given = &found->second;
    config.settings_.push_back(given ? make_setting(option, *given, false)
                                     : default_setting(option));
  }
  config.choose_stores(std::move(stores));
  config.warn_about_file_mode(passwords);
  config.warn_about_overrides(url_in_source);
  return config;
}

const Setting& StoreConfig::setting(std::string_view option) const {
  auto found = settings.find(option);
  if (found == settings.end())
    throw Error(ErrorCode::internal, fmt::format("a store has no option {}", option));
  return found->second;
}

std::string StoreConfig::text(std::string_view option) const {
  const Setting& found = setting(option);
  return found.values.empty() ? std::string() : found.values.front();
}

// The source's own stores, the tables', and which of them are meant.
void Config::choose_stores(std::vector<StoreConfig> tables) {
  StoreConfig own;
  for (const Setting& setting : settings_)
    if (is_of_a_store(*setting.option)) own.settings[setting.option->name] = setting;
  std::vector<StoreConfig> all = {own};
  all.back().name = kLocalStore;
  if (given("s3_bucket")) {
    all.push_back(own);
    all.back().name = kS3Store;
    all.back().is_bucket = true;
  }
  for (StoreConfig& table : tables) all.push_back(std::move(table));
  all_stores_ = std::move(all);

  const Setting& wanted = setting("stores");
  if (!wanted.given) stores_ = all_stores_;
  for (const std::string& name : wanted.values) {
    bool twice = std::any_of(stores_.begin(), stores_.end(),
                             [&](const StoreConfig& store) { return store.name == name; });
    if (!twice) stores_.push_back(store(name, wanted.origin));
  }
}

std::vector<std::string> Config::store_names() const {
  std::vector<std::string> names;
  for (const StoreConfig& store : all_stores_) names.push_back(store.name);
  return names;
}

const StoreConfig& Config::store(const std::string& name, const std::string& origin) const {
  for (const StoreConfig& store : all_stores_)
    if (store.name == name) return store;
  throw invalid_at(
      origin, fmt::format("there is no store {}{}", shown(name), did_you_mean(name, store_names())),
      name == kS3Store ? "set S3_BACKUP_BUCKET (or s3_bucket in holdfast.toml)"
                       : fmt::format("stores: {}", fmt::join(store_names(), ", ")));
}

const Setting& Config::setting(std::string_view name) const {
  for (const Setting& setting : settings_)
    if (setting.option->name == name) return setting;
  throw Error(ErrorCode::internal, fmt::format("no option is called {}", name));
}

std::string Config::text(std::string_view name) const {
  const Setting& found = setting(name);
  return found.values.empty() ? std::string() : found.values.front();
}

int64_t Config::number(std::string_view name) const {
  return std::stoll(text(name));
}

Secret Config::secret_in_file(std::string_view name) const {
  return Secret(one_line_of(text(name), setting(name).origin));
}

const std::vector<std::string>& Config::list(std::string_view name) const {
  return setting(name).values;
}

void Config::require_source() const {
  if (!source_name_.empty()) return;
  throw Error(ErrorCode::invalid,
              fmt::format("{} has several sources: {}", file_, fmt::join(source_names_, ", ")),
              "choose one with --source NAME");
}

Conninfo Config::source_conninfo() const {
  require_source();
  if (!has_database())
    throw Error(
        ErrorCode::invalid, "no database is configured: DATABASE_URL is not set",
        "set DATABASE_URL=postgresql://user@host/database (or DATABASE_URL_FILE, or database_url "
        "in holdfast.toml)");
  const Setting& url = setting("database_url");
  const Setting& url_file = setting("database_url_file");
  Conninfo conninfo =
      url.given ? with_context(url.origin, [&] { return Conninfo::parse(url.secret.reveal()); })
                : with_context(url_file.origin, [&] {
                    return Conninfo::parse(one_line_of(text("database_url_file"), url_file.origin));
                  });
  const Setting& password_file = setting("password_file");
  if (!password_file.given || !conninfo.password().empty()) return conninfo;
  return conninfo.with_password(Secret(one_line_of(text("password_file"), password_file.origin)));
}

void Config::warn_about_file_mode(const std::vector<std::string>& places) {
  struct stat info;
  if (places.empty() || ::stat(file_.c_str(), &info) != 0) return;
  if ((info.st_mode & (S_IRGRP | S_IROTH)) == 0) return;
  warnings_.push_back(
      fmt::format("{} holds a password and can be read by other users (hint: chmod 600 {}, or use "
                  "password_file)",
                  places.front(), file_));
}

void Config::warn_about_overrides(const std::string& source_url_place) {
  const Setting& url = setting("database_url");
  const Setting& url_file = setting("database_url_file");
  const Setting& used = url.given ? url : url_file;
  if (source_url_place.empty() || !used.given || used.origin != used.option->variable) return;
  warnings_.push_back(fmt::format("{} is used instead of the database_url of source {} ({})",
                                  used.origin, source_name_, source_url_place));
}

}  // namespace holdfast
