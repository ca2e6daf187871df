#include "cli/evidence_facts.h"

#include <algorithm>
#include <map>

#include "audit/query.h"
#include "base/text.h"
#include "cli/audit_trail.h"
#include "cli/backups.h"
#include "cli/source_host.h"
#include "dump/names.h"

namespace holdfast {
namespace {

constexpr size_t kEventsAtOnce = 1000;

bool within(const EvidencePeriod& period, UtcTime time) {
  return time >= period.from && time < period.to;
}

// The part that dumps and branch backups have in common.
template <typename Kept>
void take_proof(EvidenceBackup& backup, const Kept& kept) {
  backup.held = backup.held || kept.hold.has_value();
  backup.damaged = backup.damaged || !kept.damage.empty();
  if (!kept.proof) return;
  // Of several copies the one that is proven counts, since it is what would be restored.
  if (backup.proof_ok && !kept.proof->ok) return;
  backup.proof_level = kept.proof->level;
  backup.verdict = kept.proof->verdict;
  backup.proven_at = kept.proof->at;
  backup.proof_ok = kept.proof->ok;
}

class EvidenceGatherer {
 public:
  EvidenceGatherer(CommandContext& context, const EvidencePeriod& period) : context_(context) {
    facts_.period = period;
    facts_.made_at = context.run.clock.now();
  }

  void look_at_store(const OpenStore& store) {
    bool is_bucket = store.folder.empty();
    EvidenceStore seen{store.name,          store.store->location(), is_bucket,
                       store.locks_objects, store.safe_on_the_way,   ""};
    try {
      std::string database = configured_database(context_.config);
      for (const Backup& backup : list_backups(*store.store, database))
        add_dump(backup, store.name);
      for (const BranchBackup& backup : list_branch_backups(*store.store, database))
        add_branch(backup, store.name);
      add_drills(read_drill_records(*store.store, database));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      seen.unreadable = error.what();
    }
    facts_.stores.push_back(std::move(seen));
  }

  void look_at_trail(const AuditAnchors& anchors) {
    const Config& config = context_.config;
    facts_.audit_off = !audit_is_on(config);
    facts_.audit_years = audit_retention(config).years;
    if (facts_.audit_off) return;
    std::string folder = audit_folder(config);
    try {
      facts_.chain = verify_audit_log(folder, anchors, context_.run.stop);
      read_events(folder);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      facts_.chain_error = error.what();
    }
  }

  void look_at_configuration() {
    const Config& config = context_.config;
    AuditWho who = audit_who(config);
    facts_.organization = who.organization;
    facts_.host = who.host;
    facts_.holdfast_version = HOLDFAST_VERSION;
    RetentionPolicy retention = retention_policy(config);
    facts_.retention_days = retention.days;
    facts_.retention_months = retention.months;
    facts_.critical_tables = config.list("drill_critical_tables");
    if (!config.has_database()) return;
    Conninfo source = config.source_conninfo();
    facts_.source = source.display();
    // As libpq would have it: PGSSLMODE, PGHOST and a service file count as well.
    auto parameters = source.resolved();
    auto mode = parameters.find("sslmode");
    facts_.sslmode = mode == parameters.end() ? "prefer" : mode->second;
    std::vector<std::string> hosts = split(*source_hosts(config), ',');
    facts_.source_is_local = std::all_of(hosts.begin(), hosts.end(), is_this_machine);
  }

  EvidenceFacts take() {
    for (auto& [id, backup] : backups_) facts_.backups.push_back(std::move(backup));
    std::sort(facts_.backups.begin(), facts_.backups.end(),
              [](const EvidenceBackup& a, const EvidenceBackup& b) {
                return std::pair(a.created_at, a.id) < std::pair(b.created_at, b.id);
              });
    for (auto& [id, drill] : drills_) facts_.drills.push_back(std::move(drill));
    std::sort(facts_.drills.begin(), facts_.drills.end(),
              [](const DrillRecord& a, const DrillRecord& b) { return a.began_at < b.began_at; });
    return std::move(facts_);
  }

 private:
  // Nothing if it is not of the period.
  EvidenceBackup* add(const std::string& id, const char* kind, UtcTime created_at,
                      const std::string& store) {
    if (!within(facts_.period, created_at)) return nullptr;
    EvidenceBackup& backup = backups_[id];
    backup.id = id;
    backup.kind = kind;
    backup.created_at = created_at;
    backup.stores.push_back(store);
    return &backup;
  }

  void add_dump(const Backup& kept, const std::string& store) {
    UtcTime at = kept.manifest ? kept.manifest->created_at : parse_backup_id(kept.id)->at;
    EvidenceBackup* backup = add(kept.id, "dump", at, store);
    if (backup == nullptr) return;
    take_proof(*backup, kept);
    if (!kept.manifest) return;
    backup->database = kept.manifest->database;
    backup->bytes = kept.manifest->stored_bytes();
    backup->sealed = kept.manifest->seal.has_value();
    backup->tables = kept.manifest->tables.size();
    backup->rows = 0;
    for (const TableRecord& table : kept.manifest->tables) backup->rows += table.sum.rows;
  }

  void add_branch(const BranchBackup& kept, const std::string& store) {
    EvidenceBackup* backup = add(kept.id, "branch", kept.created_at(), store);
    if (backup == nullptr) return;
    take_proof(*backup, kept);
    if (kept.record) backup->database = kept.record->database;
  }

  void add_drills(DrillRecords found) {
    for (DrillRecord& drill : found.records)
      if (within(facts_.period, drill.began_at)) drills_.emplace(drill.id, std::move(drill));
    for (std::string& damaged : found.damaged) facts_.damaged_records.push_back(std::move(damaged));
  }

  void read_events(const std::string& folder) {
    AuditFilter filter;
    filter.from = facts_.period.from;
    filter.to = facts_.period.to - std::chrono::milliseconds(1);
    std::optional<AuditCursor> cursor;
    do {
      AuditPage page = read_audit_page(folder, filter, kEventsAtOnce, cursor);
      for (AuditEntry& entry : page.entries)
        if (entry.record) facts_.events.push_back(std::move(*entry.record));
      cursor = page.older;
    } while (cursor);
    std::reverse(facts_.events.begin(), facts_.events.end());
  }

  CommandContext& context_;
  EvidenceFacts facts_;
  std::map<std::string, EvidenceBackup> backups_;
  std::map<std::string, DrillRecord> drills_;
};

}  // namespace

EvidenceFacts evidence_facts(CommandContext& context, const std::vector<OpenStore>& stores,
                             const EvidencePeriod& period, const AuditAnchors& anchors) {
  EvidenceGatherer gatherer(context, period);
  gatherer.look_at_configuration();
  for (const OpenStore& store : stores) gatherer.look_at_store(store);
  gatherer.look_at_trail(anchors);
  return gatherer.take();
}

}  // namespace holdfast
