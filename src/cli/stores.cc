#include "cli/stores.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "base/text.h"
#include "base/this_machine.h"
#include "cli/backups.h"
#include "dump/names.h"
#include "seal/sha256.h"
#include "store/aws_chain.h"
#include "store/aws_profile.h"
#include "store/local_store.h"
#include "store/s3_store.h"
#include "store/url.h"

namespace holdfast {
namespace {

constexpr const char* kLockName = ".holdfast.lock";
constexpr size_t kMachineDigits = 16;

std::string without_trailing_slashes(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

std::string variable(const Config& config, const char* name) {
  auto found = config.environment().find(name);
  return found == config.environment().end() ? std::string() : found->second;
}

std::string short_hash(const std::string& text) {
  return sha256_hex(as_bytes(text)).substr(0, kMachineDigits);
}

// "auto" leaves the choice to the store, "none" to the bucket.
std::optional<std::string> unless_auto(const std::string& text) {
  if (text == "auto") return std::nullopt;
  return text == "none" ? std::string() : text;
}

S3Settings s3_settings(const StoreConfig& store, const AwsDefaults& defaults, const Run& run) {
  S3Settings settings;
  settings.bucket = store.text("s3_bucket");
  std::string prefix = store.text("s3_prefix");
  while (prefix.ends_with('/')) prefix.pop_back();
  settings.prefix = prefix.empty() ? "" : prefix + "/";
  settings.endpoint = store.given("s3_endpoint") ? store.text("s3_endpoint") : defaults.endpoint;
  std::string region = store.given("s3_region") ? store.text("s3_region") : defaults.region;
  if (!region.empty()) settings.region = region;
  if (std::string how = store.text("s3_addressing"); how != "auto")
    settings.path_style = how == "path";
  else if (defaults.path_style)
    settings.path_style = true;
  settings.storage_class = unless_auto(store.text("s3_storage_class"));
  settings.sse = unless_auto(store.text("s3_sse"));
  settings.kms_key = store.text("s3_kms_key");
  if (std::string mode = store.text("s3_object_lock"); mode != "none")
    settings.object_lock = mode == "governance" ? "GOVERNANCE" : "COMPLIANCE";
  settings.parallel = static_cast<int>(std::stoll(store.text("s3_parallel")));
  settings.stop = run.stop;
  return settings;
}

OpenStore open_bucket(const StoreConfig& store, const Config& config, const Run& run) {
  std::string profile = store.given("s3_profile") ? store.text("s3_profile") : "";
  // AWS_PROFILE is the default of the option; asked for by option it would beat AWS_ACCESS_KEY_ID.
  if (store.setting("s3_profile").origin == "AWS_PROFILE") profile.clear();
  AwsDefaults defaults = aws_defaults(config.environment(), profile);
  CurlOptions curl;
  curl.ca_file = store.given("s3_ca_file") ? store.text("s3_ca_file") : defaults.ca_file;
  curl.stop = run.stop;
  AwsChainOptions chain;
  chain.environment = config.environment();
  chain.profile = profile;

  OpenStore open;
  open.name = store.name;
  open.locks_objects = store.text("s3_object_lock") != "none";
  open.transport = make_curl_transport(curl);
  S3Settings settings = s3_settings(store, defaults, run);
  chain.region = settings.region;
  open.host = settings.endpoint.empty() ? "amazonaws.com" : host_of_url(settings.endpoint);
  open.safe_on_the_way = settings.endpoint.empty() || is_safe_on_the_way(settings.endpoint);
  open.credentials = make_aws_credentials(chain, *open.transport, run.clock);
  open.store = with_context(fmt::format("store {}", store.name), [&] {
    return make_s3_store(settings, *open.credentials, *open.transport, run.clock);
  });
  return open;
}

OpenStore open_folder(const StoreConfig& config) {
  std::string folder = without_trailing_slashes(config.text("dir"));
  if (folder.find("://") != std::string::npos)
    throw Error(
        ErrorCode::invalid,
        fmt::format("{}: '{}' is not a folder", config.setting("dir").origin, printable(folder)),
        "a bucket is named by S3_BACKUP_BUCKET (or a table [store.NAME] with bucket = …)");
  OpenStore open;
  open.name = config.name;
  open.folder = folder;
  open.store = make_local_store(folder);
  return open;
}

UtcTime time_of(const Located& located) {
  const Backup& backup = located.backup();
  return backup.manifest ? backup.manifest->created_at : parse_backup_id(located.id)->at;
}

}  // namespace

void ask_all(const std::vector<OpenStore>& stores, const Run& run,
             const std::function<void(size_t)>& ask) {
  std::optional<Error> first;
  size_t failures = 0;
  for (size_t i = 0; i < stores.size(); ++i) {
    try {
      ask(i);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      ++failures;
      if (!first) first = error;
      if (stores.size() > 1)
        run.log.warning(
            fmt::format("store {} is left out: {}", stores[i].name, error.in_one_line()));
    }
  }
  if (first && failures == stores.size()) throw Error(*first);
}

OpenStore open_store(const StoreConfig& store, const Config& config, const Run& run) {
  return store.is_bucket ? open_bucket(store, config, run) : open_folder(store);
}

std::vector<OpenStore> open_stores(const Config& config, const Run& run) {
  config.require_source();
  std::vector<OpenStore> stores;
  for (const StoreConfig& store : config.stores()) stores.push_back(open_store(store, config, run));
  return stores;
}

OpenStore open_store(const Config& config, const std::string& name, const Run& run) {
  config.require_source();
  return open_store(config.store(name, "--to"), config, run);
}

std::string locations_of(const std::vector<OpenStore>& stores) {
  std::string all;
  for (const OpenStore& store : stores)
    all += (all.empty() ? "" : " or ") + store.store->location();
  return all;
}

std::vector<ObjectStore*> pointers(const std::vector<OpenStore>& stores) {
  std::vector<ObjectStore*> all;
  for (const OpenStore& store : stores) all.push_back(store.store.get());
  return all;
}

std::string state_folder(const Config& config) {
  if (std::string state = variable(config, "XDG_STATE_HOME"); !state.empty())
    return state + "/holdfast";
  if (std::string home = variable(config, "HOME"); !home.empty())
    return home + "/.local/state/holdfast";
  return fmt::format("/tmp/holdfast-{}", ::getuid());
}

std::string machine_name(const Config& config) {
  return short_hash(fmt::format("holdfast\n{}\n{}\n{}\n{}", host_name(), machine_id(), ::getuid(),
                                state_folder(config)));
}

ReapScope StoreLock::reap_scope(const OpenStore& store, const Config& config, const Clock& clock) {
  return {store.folder.empty() ? machine_name(config) : "", clock.now()};
}

StoreLock::StoreLock(const std::vector<OpenStore>& stores, const Config& config, const Run& run) {
  for (const OpenStore& store : stores) {
    std::string folder = store.folder.empty() ? state_folder(config) : store.folder;
    std::string name = store.folder.empty()
                           ? fmt::format("bucket-{}.lock", short_hash(store.store->location()))
                           : kLockName;
    // A folder that cannot be made is that store's failure, not the others': it is met again when
    // the store is written to.
    try {
      make_folders(folder);
    } catch (const Error&) {
      if (stores.size() == 1) throw;
      continue;
    }
    locks_.push_back(std::make_unique<FileLock>(folder + "/" + name, store.store->location()));
  }
  ask_all(stores, run, [&](size_t i) {
    for (const std::string& line :
         reap_crashed_runs(*stores[i].store, reap_scope(stores[i], config, run.clock)))
      run.log.info(stores.size() > 1 ? stores[i].name + ": " + line : line);
  });
}

std::optional<UtcTime> lock_date(const OpenStore& store, const Config& config,
                                 const std::string& database, UtcTime created_at) {
  if (!store.locks_objects) return std::nullopt;
  std::vector<UtcTime> others;
  try {
    for (const std::string& id : list_backup_ids(*store.store, database))
      others.push_back(parse_backup_id(id)->at);
  } catch (const Error&) {
    // A store that cannot be listed will say so when it is written to; the later date is safe.
  }
  return retention_date(others, created_at, retention_policy(config));
}

const Copy& Located::best() const {
  auto sound = std::find_if(copies.begin(), copies.end(),
                            [](const Copy& copy) { return copy.backup.manifest.has_value(); });
  return sound == copies.end() ? copies.front() : *sound;
}

const Copy* proven_copy(const Located& located) {
  for (const Copy& copy : located.copies)
    if (copy.backup.manifest && copy.backup.proof && copy.backup.proof->ok) return &copy;
  return nullptr;
}

std::vector<BackupCopy> copies_of(const Located& located, const std::vector<OpenStore>& stores) {
  std::vector<BackupCopy> copies;
  auto add = [&](const Copy& copy) {
    const OpenStore& store = stores[copy.store];
    copies.push_back({store.name, store.store->location(), copy.backup});
  };
  add(located.best());
  for (const Copy& copy : located.copies)
    if (&copy != &located.best()) add(copy);
  return copies;
}

std::vector<Located> list_everywhere(const std::vector<OpenStore>& stores,
                                     const std::string& database, const Run& run) {
  std::map<std::string, Located> by_id;
  ask_all(stores, run, [&](size_t i) {
    for (Backup& backup : list_backups(*stores[i].store, database)) {
      Located& located = by_id[backup.id];
      located.id = backup.id;
      located.copies.push_back({i, std::move(backup)});
    }
  });
  std::vector<Located> all;
  for (auto& [id, located] : by_id) all.push_back(std::move(located));
  std::sort(all.begin(), all.end(), [](const Located& a, const Located& b) {
    return std::pair(time_of(a), a.id) > std::pair(time_of(b), b.id);
  });
  return all;
}

Located find_everywhere(const std::vector<OpenStore>& stores, const Config& config,
                        const std::string& said, const Run& run) {
  std::string database = said == "latest" ? configured_database(config) : std::string();
  std::vector<std::set<std::string>> held(stores.size());
  std::set<std::string> ids;
  ask_all(stores, run, [&](size_t i) {
    for (const std::string& id : list_backup_ids(*stores[i].store, database)) {
      held[i].insert(id);
      ids.insert(id);
    }
  });
  Located located;
  located.id = choose_backup_id({ids.begin(), ids.end()}, said, locations_of(stores), database);
  ask_all(stores, run, [&](size_t i) {
    if (held[i].count(located.id) > 0)
      located.copies.push_back({i, find_backup(*stores[i].store, "", located.id)});
  });
  if (located.copies.empty())
    throw Error(ErrorCode::not_found, fmt::format("backup {} has just been removed", located.id),
                "holdfast list shows those that are there");
  return located;
}

}  // namespace holdfast
