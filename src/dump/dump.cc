#include "dump/dump.h"

#include <fmt/format.h>

#include "base/text.h"
#include "base/workers.h"
#include "dump/claim.h"
#include "dump/fingerprint.h"
#include "dump/globals.h"
#include "dump/large_objects.h"
#include "dump/load_order.h"
#include "dump/names.h"
#include "dump/plan.h"
#include "dump/schema_dump.h"
#include "dump/sealed_archive.h"
#include "dump/snapshot_session.h"
#include "dump/table_copier.h"

namespace holdfast {
namespace {

// From this archive version on, pg_restore reads zstd (PostgreSQL 16).
constexpr int kZstdMinorVersion = 15;

// The encoding is said, because a client_encoding set for the role or the database would otherwise
// make definitions another one than the rows that our workers read.
std::vector<std::string> pg_dump_arguments(const DumpOptions& options,
                                           const std::string& encoding) {
  std::vector<std::string> arguments = {
      fmt::format("--lock-wait-timeout={}", options.lock_timeout_ms), "--encoding=" + encoding};
  auto add = [&](const char* option, const std::vector<std::string>& patterns) {
    for (const std::string& pattern : patterns) arguments.push_back(option + ("=" + pattern));
  };
  add("--schema", options.schemas);
  add("--exclude-schema", options.exclude_schemas);
  add("--exclude-table-data", options.exclude_table_data);
  return arguments;
}

std::vector<std::string> exclusions_of(const DumpOptions& options) {
  std::vector<std::string> said;
  auto add = [&](const char* option, const std::vector<std::string>& patterns) {
    for (const std::string& pattern : patterns) said.push_back(option + (" " + pattern));
  };
  add("--schema", options.schemas);
  add("--exclude-schema", options.exclude_schemas);
  add("--exclude-table-data", options.exclude_table_data);
  return said;
}

Codec codec_for(const DumpOptions& options, const ArchiveHeader& header) {
  bool zstd_readable = header.version_minor >= kZstdMinorVersion;
  if (!options.codec) return zstd_readable ? Codec::zstd : Codec::gzip;
  if (*options.codec == Codec::zstd && !zstd_readable)
    throw Error(ErrorCode::unsupported,
                "pg_restore reads zstd from PostgreSQL 16 on, and this archive is for an older one",
                "use --compression gzip (or auto)");
  return *options.codec;
}

// One run: its steps in order, with what they hand to each other.
class DumpRun {
 public:
  DumpRun(const DumpOptions& options, ObjectStore& store, const Run& run)
      : options_(options), source_(options.source.direct()), store_(store), run_(run) {}

  Manifest make() {
    run_.progress.phase("reading the schema");
    SnapshotSession session(source_, options_.lock_timeout_ms, run_.clock);
    session.describe(manifest_);
    manifest_.source = options_.source_name;
    ClientTools tools =
        choose_client_tools(find_client_tools(options_.client_folder), manifest_.server_major);
    manifest_.holdfast_version = HOLDFAST_VERSION;
    manifest_.pg_dump_version = tools.version;
    SchemaDump schema(tools, source_, session.snapshot(),
                      pg_dump_arguments(options_, manifest_.encoding));
    codec_ = codec_for(options_, schema.toc().header);
    if (options_.seal)
      manifest_.seal = SealRecord{
          options_.seal->method, options_.seal->recipients, gpg_version(), {}, std::nullopt};

    std::unique_ptr<Claim> claim =
        claim_new_id(store_, manifest_.database, manifest_.created_at, options_.machine);
    manifest_.id = claim->id();
    describe_archive(schema.toc());
    write_archive(session, tools, schema);
    write_globals(tools);
    manifest_.finished_at = run_.clock.now();
    write_object(store_, manifest_name(manifest_.id), as_bytes(write_manifest(manifest_)),
                 {0, options_.keep_until});
    claim->keep();
    return std::move(manifest_);
  }

 private:
  void describe_archive(const ArchiveToc& toc) {
    toc_bytes_ = toc_bytes_with_codec(toc, codec_, load_order_dependencies(toc));
    manifest_.archive_object = archive_name(manifest_.id, options_.seal.has_value());
    manifest_.archive_version = fmt::format("1.{}", toc.header.version_minor);
    manifest_.codec = codec_;
    manifest_.toc_bytes = toc_bytes_.size();
    manifest_.toc_sha256 = sha256_hex(as_bytes(toc_bytes_));
    manifest_.toc_entries = toc.entries.size();
    manifest_.schema_fingerprint = schema_fingerprint(toc);
    manifest_.excluded = exclusions_of(options_);
  }

  void write_archive(SnapshotSession& session, const ClientTools& tools, SchemaDump& schema) {
    run_.check_stop();
    std::unique_ptr<ObjectWriter> object =
        store_.put(manifest_.archive_object, {options_.bytes_expected, options_.keep_until});
    if (options_.seal)
      object = sealing_writer(std::move(object), *options_.seal, manifest_.seal->archive);
    ArchiveSink sink(std::move(object));
    sink.write(as_bytes(toc_bytes_));

    run_.progress.phase("copying tables");
    Plan plan = plan_tables(schema.toc(), session.connection());
    CopySettings settings{codec_, options_.level, worker_count(options_.jobs)};
    manifest_.tables = copy_tables(
        plan, settings, [&] { return session.open_worker(); }, sink, run_);

    if (!large_object_entries(schema.toc()).empty()) {
      run_.progress.phase("copying large objects");
      std::vector<std::string> arguments = pg_dump_arguments(options_, manifest_.encoding);
      for (std::string& argument : large_objects_only()) arguments.push_back(std::move(argument));
      SchemaDump objects(tools, source_, session.snapshot(), arguments);
      manifest_.large_objects =
          copy_large_objects(objects, schema.toc(), codec_, options_.level, sink, run_);
    }
    run_.progress.phase("storing");
    manifest_.archive_bytes = sink.position();
    manifest_.archive_sha256 = sink.finish_sha256();
    run_.check_stop();
    sink.commit();
  }

  void write_globals(const ClientTools& tools) {
    std::optional<std::string> globals = dump_globals(tools, source_, run_);
    if (!globals) return;
    manifest_.globals_object = globals_name(manifest_.id, options_.seal.has_value());
    manifest_.globals_bytes = globals->size();
    manifest_.globals_sha256 = sha256_hex(as_bytes(*globals));
    PutOptions put{0, options_.keep_until};
    if (options_.seal)
      manifest_.seal->globals = write_sealed_object(store_, *manifest_.globals_object,
                                                    as_bytes(*globals), *options_.seal, put);
    else
      write_object(store_, *manifest_.globals_object, as_bytes(*globals), put);
  }

  const DumpOptions& options_;
  const Conninfo source_;
  ObjectStore& store_;
  const Run& run_;
  Codec codec_ = Codec::gzip;
  std::string toc_bytes_;
  Manifest manifest_;
};

}  // namespace

Manifest run_dump(const DumpOptions& options, ObjectStore& store, const Run& run) {
  return DumpRun(options, store, run).make();
}

}  // namespace holdfast
