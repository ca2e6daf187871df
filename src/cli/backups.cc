#include "cli/backups.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/keys.h"
#include "dump/names.h"

namespace holdfast {
namespace {

constexpr const char* kLockName = ".holdfast.lock";

std::string without_trailing_slashes(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

}  // namespace

std::unique_ptr<ObjectStore> open_store(const Config& config) {
  config.require_source();
  std::string folder = config.text("dir");
  if (folder.find("://") != std::string::npos)
    throw Error(ErrorCode::invalid,
                fmt::format("{}: a store must be a folder", config.setting("dir").origin),
                "the S3 store is not in this version yet");
  return make_local_store(folder);
}

DumpOptions dump_options(const Config& config, const Conninfo& source) {
  DumpOptions options = unsealed_dump_options(config, source);
  options.seal = configured_seal(config);
  return options;
}

DumpOptions unsealed_dump_options(const Config& config, const Conninfo& source) {
  DumpOptions options;
  options.source = source;
  options.source_name = config.source_name();
  options.jobs = static_cast<int>(config.number("jobs"));
  if (std::string name = config.text("compression"); name != "auto")
    options.codec = parse_codec(name);
  options.level = static_cast<int>(config.number("level"));
  options.schemas = config.list("schemas");
  options.exclude_schemas = config.list("exclude_schemas");
  options.exclude_table_data = config.list("exclude_table_data");
  options.lock_timeout_ms = static_cast<int>(config.number("lock_timeout") * 1000);
  options.client_folder = config.text("pg_bindir");
  return options;
}

VerifyOptions verify_options(const Config& config, VerifyLevel level) {
  VerifyOptions options;
  options.level = level;
  options.jobs = static_cast<int>(config.number("jobs"));
  options.client_folder = config.text("pg_bindir");
  options.scratch_folder = config.text("scratch_dir");
  options.keys = configured_keys(config);
  return options;
}

std::string configured_database(const Config& config) {
  return config.has_database() ? config.source_conninfo().dbname() : std::string();
}

Backup find_configured_backup(const Config& config, ObjectStore& store, const std::string& said) {
  return find_backup(store, said == "latest" ? configured_database(config) : std::string(), said);
}

std::optional<ArchiveFile> as_archive_file(const std::string& said) {
  bool has_slash = said.find('/') != std::string::npos;
  if (!has_slash && !file_exists(said)) return std::nullopt;
  if (!file_exists(said))
    throw Error(ErrorCode::not_found, fmt::format("there is no file {}", printable(said)));
  ArchiveFile file;
  file.path = said;
  size_t slash = said.rfind('/');
  file.folder = !has_slash ? "." : slash == 0 ? "/" : said.substr(0, slash);
  file.name = has_slash ? said.substr(slash + 1) : said;
  std::string plain = file.name;
  if (plain.ends_with(kSealedSuffix)) plain.resize(plain.size() - kSealedSuffix.size());
  if (!plain.ends_with(kArchiveSuffix)) return file;
  std::string id = plain.substr(0, plain.size() - kArchiveSuffix.size());
  if (file_exists(file.folder + "/" + manifest_name(id))) file.id = id;
  return file;
}

StoreLock::StoreLock(const Config& config, ObjectStore& store, const Run& run) {
  std::string folder = without_trailing_slashes(config.text("dir"));
  make_folders(folder);
  lock_ = std::make_unique<FileLock>(folder + "/" + kLockName, folder);
  for (const std::string& line : reap_crashed_runs(store, {"", run.clock.now()}))
    run.log.info(line);
}

Proof proof_of(const VerifyReport& report, const Clock& clock) {
  return {std::string(verify_level_name(report.level)), report.ok(),
          std::string(verdict_name(report.verdict)), clock.now(), report.seconds};
}

VerifyReport prove(ObjectStore& store, const Backup& backup, const VerifyOptions& options,
                   const Run& run) {
  VerifyReport report = verify_backup(store, backup, options, run);
  try {
    record_proof(store, backup.id, proof_of(report, run.clock));
  } catch (const Error& error) {
    run.log.warning(
        fmt::format("the proof of {} could not be recorded: {}", backup.id, error.what()));
  }
  return report;
}

int exit_code_of(const VerifyReport& report) {
  if (report.ok()) return kExitDone;
  return report.verdict == Verdict::fail ? kExitDamage : kExitFailed;
}

}  // namespace holdfast
