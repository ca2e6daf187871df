#include "cli/backups.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/keys.h"
#include "cli/stores.h"
#include "dump/checks.h"
#include "dump/names.h"
#include "dump/sealed_archive.h"

namespace holdfast {
namespace {

constexpr uint64_t kCheckFileBytesMax = 1 << 20;

}  // namespace

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
  options.machine = machine_name(config);
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

RetentionPolicy retention_policy(const Config& config) {
  RetentionPolicy policy;
  policy.days = static_cast<int>(config.number("retention_days"));
  policy.months = static_cast<int>(config.number("retention_months"));
  return policy;
}

std::vector<std::string> configured_checks(const Config& config) {
  std::vector<std::string> queries;
  if (std::string file = config.text("check"); !file.empty())
    queries = read_checks(read_file(file, kCheckFileBytesMax), file);
  for (const std::string& query : config.list("check_queries")) queries.push_back(query);
  return queries;
}

std::string configured_database(const Config& config) {
  return config.has_database() ? config.source_conninfo().dbname() : std::string();
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

void check_stored(CommandContext& context, ObjectStore& store, const Manifest& manifest) {
  context.run.progress.phase("reading what was stored");
  for (const StoredPart& part : stored_parts(manifest)) {
    StoredObject found = read_stored(store, part.name, context.run);
    if (found.bytes != part.stored.bytes || found.sha256 != part.stored.sha256)
      throw Error(ErrorCode::corrupt,
                  fmt::format("{} in {} is not what was written", part.name, store.location()),
                  "check the store's disk, and make another backup");
  }
  context.console.finish_phase();
  context.output.line(
      fmt::format("STORED {} · every byte read back is what was written · not opened, not proven",
                  manifest.id));
}

std::string server_name(const Conninfo& server) {
  std::string host = server.get("host"), port = server.get("port");
  return fmt::format("{}{}{}", host.empty() ? "local" : host, port.empty() ? "" : ":", port);
}

void tell_restored(OperationPart& part, const RestoreReport& report) {
  part.detail("database", report.database);
  part.detail("tables_restored", std::to_string(report.tables));
  part.detail("rows", std::to_string(report.rows));
  part.detail("compared", std::string(verdict_name(report.verdict)));
  part.detail("seconds", fmt::format("{:.1f}", report.seconds));
}

int exit_code_of(const VerifyReport& report) {
  if (report.ok()) return kExitDone;
  return report.verdict == Verdict::fail ? kExitDamage : kExitFailed;
}

}  // namespace holdfast
