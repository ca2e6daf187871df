#include <fmt/format.h>

#include <memory>

#include "base/text.h"
#include "branch/compute_access.h"
#include "dump/names.h"
#include "operate/drill.h"
#include "operate/drill_parts.h"

namespace holdfast {
namespace {

class BranchDrill {
 public:
  BranchDrill(neon::Client& client, const BranchBackup& backup,
              const std::optional<BranchTables>& before, const BranchVerifyOptions& options,
              DrillRecord begun, const DrillSettings& settings, const Run& run)
      : client_(client),
        backup_(backup),
        before_(before),
        options_(options),
        run_(run),
        drill_(std::move(begun), settings, run) {}

  DrillOutcome hold() {
    describe();
    drill_.guarded([&] { rehearse(); });
    std::vector<std::pair<std::string, uint64_t>> expected;
    if (before_)
      for (const TableSum& table : before_->tables)
        expected.emplace_back(table.name, table.sum.rows);
    drill_.take_report(expected);
    std::vector<std::string> known;
    for (const TableVerdict& table : drill_.report().tables) known.push_back(table.name);
    // What was never read cannot be said to be missing.
    if (!known.empty()) drill_.mark_critical(known);
    return drill_.finish();
  }

 private:
  void describe() {
    DrillRecord& record = drill_.record();
    record.kind = DrillKind::branch;
    record.backup = backup_.id;
    record.backup_at = backup_.created_at();
    record.amcheck = "not looked at on a branch";
    if (!backup_.record) return;
    record.database = backup_.record->database;
    record.source = backup_.record->source;
  }

  void rehearse() {
    if (!backup_.record) {
      drill_.report().problems.push_back({manifest_name(backup_.id), backup_.damage});
      return;
    }
    bool there = false;
    drill_.phase("fetch", [&] { there = look(VerifyLevel::quick); });
    if (!there) return;
    std::unique_ptr<ComputeAccess> access;
    drill_.phase("server", [&] {
      run_.progress.phase("starting a compute on " + backup_.id);
      access = std::make_unique<ComputeAccess>(client_, client_.branch(backup_.record->branch_id),
                                               options_.login, run_);
      Connection connection = Connection::open(access->conninfo(), "holdfast drill");
      drill_.record().server_version = connection.query_text("SHOW server_version");
    });
    bool compared = false;
    drill_.guarded(
        [&] { drill_.phase("compare", [&] { compared = look(VerifyLevel::restore); }); });
    if (compared) drill_.usable();
    if (compared)
      drill_.guarded([&] { drill_.phase("queries", [&] { drill_.ask(access->conninfo()); }); });
    drill_.phase("destroy", [&] { access->close(); });
    drill_.record().destroyed_at = run_.clock.now();
  }

  // Whether it is right as far as the level looks.
  bool look(VerifyLevel level) {
    BranchVerifyOptions options = options_;
    options.level = level;
    VerifyReport report = verify_branch_backup(client_, *backup_.record, before_, options,
                                               drill_.outcome().read, run_);
    bool sound = report.ok();
    if (report.verdict == Verdict::inconclusive)
      drill_.undecided(report.notes.empty() ? "the branch could not be reached"
                                            : report.notes.back());
    drill_.report() = std::move(report);
    drill_.report().level = VerifyLevel::restore;
    return sound;
  }

  neon::Client& client_;
  const BranchBackup& backup_;
  const std::optional<BranchTables>& before_;
  const BranchVerifyOptions& options_;
  const Run& run_;
  RunningDrill drill_;
};

}  // namespace

DrillOutcome drill_branch(neon::Client& client, const BranchBackup& backup,
                          const std::optional<BranchTables>& before,
                          const BranchVerifyOptions& options, DrillRecord begun,
                          const DrillSettings& settings, const Run& run) {
  return BranchDrill(client, backup, before, options, std::move(begun), settings, run).hold();
}

}  // namespace holdfast
