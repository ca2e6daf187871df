#include "operate/drill.h"

#include <fmt/format.h>

#include "base/text.h"
#include "dump/names.h"
#include "dump/verify_restore.h"
#include "operate/drill_parts.h"

namespace holdfast {
namespace {

class DumpDrill {
 public:
  DumpDrill(ObjectStore& store, const Backup& backup, DrillRecord begun,
            const DrillSettings& settings, const Run& run)
      : store_(store),
        backup_(backup),
        settings_(settings),
        run_(run),
        drill_(std::move(begun), settings, run) {}

  DrillOutcome hold() {
    describe();
    bool opened = false;
    drill_.guarded([&] { drill_.phase("fetch", [&] { opened = open(); }); });
    if (opened) drill_.guarded([&] { rehearse(); });
    if (!watch_.phases.empty()) take_watch();
    if (backup_.manifest) {
      std::vector<std::pair<std::string, uint64_t>> expected;
      std::vector<std::string> known;
      for (const TableRecord& table : backup_.manifest->tables) {
        expected.emplace_back(table.name, table.sum.rows);
        known.push_back(table.name);
      }
      drill_.take_report(expected);
      drill_.mark_critical(known);
    } else {
      drill_.take_report({});
    }
    return drill_.finish();
  }

 private:
  void describe() {
    DrillRecord& record = drill_.record();
    record.kind = DrillKind::dump;
    record.backup = backup_.id;
    if (!backup_.manifest) {
      if (std::optional<BackupId> id = parse_backup_id(backup_.id)) {
        record.database = id->database;
        record.backup_at = id->at;
      }
      return;
    }
    const Manifest& manifest = *backup_.manifest;
    record.database = manifest.database;
    record.source = manifest.source;
    record.backup_at = manifest.created_at;
    record.archive_sha256 = manifest.seal ? manifest.seal->archive.sha256 : manifest.archive_sha256;
    record.bytes = manifest.stored_bytes();
  }

  // What can be seen without reading everything. Loading reads every byte and holds it against the
  // manifest before it is committed, so a pass of its own would only cost recovery time.
  bool open() {
    VerifyOptions quick = settings_.verify;
    quick.level = VerifyLevel::quick;
    VerifyReport report = verify_backup(store_, backup_, quick, run_);
    bool sound = report.ok();
    if (report.verdict == Verdict::inconclusive)
      drill_.undecided(report.notes.empty() ? "the backup could not be opened"
                                            : report.notes.front());
    drill_.report() = std::move(report);
    drill_.report().level = VerifyLevel::restore;
    return sound;
  }

  void rehearse() {
    VerifyOptions options = settings_.verify;
    options.level = VerifyLevel::restore;
    watch_.ask = [&](const Conninfo& database) {
      drill_.usable();
      drill_.ask(database);
    };
    if (!rehearse_restore(store_, *backup_.manifest, options, drill_.report(), run_, &watch_))
      drill_.undecided(drill_.report().notes.back());
  }

  void take_watch() {
    DrillRecord& record = drill_.record();
    for (const RestorePhase& phase : watch_.phases) {
      if (phase.name == record.phases.front().name)
        record.phases.front().seconds += phase.seconds;
      else
        record.phases.push_back({phase.name, phase.seconds});
    }
    record.server_version = watch_.server_version;
    record.amcheck = watch_.amcheck;
    record.destroyed_at = watch_.destroyed_at;
    if (watch_.destroyed_at) run_.log.info("the scratch server and all its data were destroyed");
    if (!watch_.left_behind.empty())
      drill_.failed(fmt::format("the scratch data could not be removed: {}", watch_.left_behind));
  }

  ObjectStore& store_;
  const Backup& backup_;
  const DrillSettings& settings_;
  const Run& run_;
  RehearsalWatch watch_;
  RunningDrill drill_;
};

}  // namespace

DrillOutcome drill_dump(ObjectStore& store, const Backup& backup, DrillRecord begun,
                        const DrillSettings& settings, const Run& run) {
  return DumpDrill(store, backup, std::move(begun), settings, run).hold();
}

}  // namespace holdfast
