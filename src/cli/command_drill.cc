// holdfast drill: rehearses a recovery of one backup, and keeps the record of it in every store.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "audit/identity.h"
#include "base/text.h"
#include "cli/api.h"
#include "cli/backups.h"
#include "cli/branch_backups.h"
#include "cli/command.h"
#include "cli/documents_drill.h"
#include "cli/status.h"
#include "cli/stores.h"
#include "dump/names.h"
#include "operate/drill.h"

namespace holdfast {
namespace {

constexpr size_t kDrillProblemsShown = 20;
// 45 CFR 164.316(b)(2)(i): what shows that a procedure was followed is kept for six years.
constexpr std::chrono::days kDrillRecordLifetime{6 * 365 + 2};

class DrillCommand {
 public:
  explicit DrillCommand(CommandContext& context)
      : context_(context),
        config_(context.config),
        run_(context.run),
        stores_(open_stores(context.config, context.run)) {}

  int run() {
    std::string said = context_.argument_or("random");
    OperationPart& part = context_.operation.begin("drill", said, AuditNeed::required);
    begin();
    bool by_rule = said == "random" || said == "latest";
    if (!by_rule) {
      if (auto branch = find_branch_everywhere(stores_, said, run_))
        drill(*branch, "named");
      else
        drill(find_everywhere(stores_, config_, said, run_), "named");
    } else if (config_.text("drill_kind") == "branch") {
      auto branches = list_branches_everywhere(stores_, configured_database(config_), run_);
      drill(choose(branches, said, "branch backup"), chosen_);
    } else {
      listed_ = list_everywhere(stores_, configured_database(config_), run_);
      drill(choose(*listed_, said, "backup"), chosen_);
    }
    context_.console.finish_phase();
    keep();
    tell(part);
    return conclude();
  }

 private:
  void begin() {
    AuditWho who = local_identity("", config_.environment());
    begun_.began_at = run_.clock.now();
    begun_.rto_target_seconds = duration_seconds(config_, "objectives_rto");
    begun_.rpo_target_seconds = duration_seconds(config_, "objectives_rpo");
    begun_.holdfast_version = HOLDFAST_VERSION;
    begun_.host = who.host;
    begun_.actor = who.actor;
    settings_.verify = verify_options(config_, VerifyLevel::restore);
    settings_.critical_tables = config_.list("drill_critical_tables");
    settings_.questions = config_.drill_questions();
    settings_.query_timeout_seconds = config_.number("drill_query_timeout");
    seed_ = config_.given("drill_seed") ? static_cast<uint64_t>(config_.number("drill_seed"))
                                        : std::random_device{}();
  }

  static UtcTime time_of_drilled(const Located& located) {
    return located.backup().manifest ? located.backup().manifest->created_at
                                     : parse_backup_id(located.id)->at;
  }
  static UtcTime time_of_drilled(const LocatedBranch& located) {
    return located.backup().created_at();
  }

  // The newest one, or one at random.
  template <typename AnyLocated>
  const AnyLocated& choose(const std::vector<AnyLocated>& all, const std::string& said,
                           const std::string& what) {
    if (all.empty())
      throw Error(ErrorCode::not_found,
                  fmt::format("there is no {} in {}", what, locations_of(stores_)),
                  "make one with: holdfast backup");
    if (said == "latest") {
      chosen_ = "newest";
      return all.front();
    }
    std::vector<DrillCandidate> candidates;
    for (const AnyLocated& located : all)
      candidates.push_back({located.id, time_of_drilled(located)});
    DrillChoice choice = choose_drill(candidates, begun_.began_at, seed_);
    chosen_ = choice.chosen;
    begun_.notes.push_back(
        fmt::format("chosen with --seed {} among {}", seed_, plural(all.size(), what)));
    return all[choice.index];
  }

  void drill(const Located& located, const std::string& chosen) {
    bool random = chosen.starts_with("random");
    const Copy& copy = random ? located.copies[seed_ % located.copies.size()] : located.best();
    const OpenStore& store = stores_[copy.store];
    name_it(store.name, chosen);
    measure_rpo(copy.backup.manifest ? copy.backup.manifest->database
                                     : parse_backup_id(located.id)->database);
    run_.log.info(fmt::format("drilling {} from {} ({})", located.id, store.name, chosen));
    outcome_ = drill_dump(*store.store, copy.backup, begun_, settings_, run_);
    record_drill_proof({&store}, located.id);
  }

  void drill(const LocatedBranch& located, const std::string& chosen) {
    BranchBackup backup = located.backup();
    name_it(backup.record ? backup.record->host : "branch", chosen);
    measure_rpo(backup.record ? backup.record->database : configured_database(config_));
    run_.log.info(fmt::format("drilling {} ({})", located.id, chosen));
    std::optional<BranchTables> before = known_tables(stores_, located, run_);
    std::optional<ApiAccess> api;
    try {
      api.emplace(config_, run_);
    } catch (const Error& error) {
      return not_begun(backup, error);
    }
    BranchVerifyOptions options = branch_verify_options(config_, VerifyLevel::restore);
    outcome_ = drill_branch(api->client(), backup, before, options, begun_, settings_, run_);
    if (outcome_.report.ok() && !before && !outcome_.read.tables.empty()) {
      outcome_.read.partial = !options.critical_tables.empty();
      store_branch_tables(stores_, located, outcome_.read, run_);
    }
    std::vector<const OpenStore*> knowing;
    for (const BranchCopy& copy : located.copies) knowing.push_back(&stores_[copy.store]);
    record_drill_proof(knowing, located.id);
  }

  void name_it(const std::string& store, const std::string& chosen) {
    begun_.store = store;
    begun_.chosen = chosen;
  }

  // Without a way to the API nothing can be said of a branch, and that is what is recorded.
  void not_begun(const BranchBackup& backup, const Error& why) {
    DrillRecord& record = outcome_.record = begun_;
    record.kind = DrillKind::branch;
    record.backup = backup.id;
    record.backup_at = backup.created_at();
    if (backup.record) {
      record.database = backup.record->database;
      record.source = backup.record->source;
    }
    record.ended_at = run_.clock.now();
    record.problems.push_back(why.in_one_line());
    outcome_.interrupted = why.code() == ErrorCode::cancelled;
  }

  void measure_rpo(const std::string& database) {
    if (!listed_) listed_ = list_everywhere(stores_, database, run_);
    std::optional<UtcTime> newest;
    auto proven_at = [&](UtcTime at) { newest = std::max(newest.value_or(at), at); };
    for (const Located& located : *listed_) {
      const Copy* copy = proven_copy(located);
      if (copy != nullptr && copy->backup.manifest->database == database)
        proven_at(copy->backup.manifest->created_at);
    }
    for (const LocatedBranch& located : list_branches_everywhere(stores_, database, run_)) {
      BranchBackup backup = located.backup();
      if (backup.proof && backup.proof->ok) proven_at(backup.created_at());
    }
    if (newest)
      begun_.rpo_seconds =
          std::max(0.0, std::chrono::duration<double>(begun_.began_at - *newest).count());
  }

  // What the drill showed of the backup counts as a proof of it. One without a verdict says
  // nothing.
  void record_drill_proof(const std::vector<const OpenStore*>& stores, const std::string& id) {
    if (outcome_.report.verdict == Verdict::inconclusive) return;
    for (const OpenStore* store : stores) try {
        record_proof(*store->store, id, proof_of(outcome_.report, run_.clock));
      } catch (const Error& error) {
        run_.log.warning(fmt::format("store {}: the proof of {} could not be recorded: {}",
                                     store->name, id, error.what()));
      }
  }

  // An id that no store has yet: two drills may begin in one millisecond.
  std::string free_drill_id() {
    UtcTime at = begun_.began_at;
    for (int i = 0; i < kNamesTried; ++i, at += std::chrono::milliseconds(1)) {
      bool taken = false;
      for (const OpenStore& store : stores_) try {
          taken = taken || has_drill_record(*store.store, drill_id(at));
        } catch (const Error&) {
          // Said when it is written to.
        }
      if (!taken) break;
    }
    return drill_id(at);
  }

  void keep() {
    outcome_.record.id = free_drill_id();
    for (const OpenStore& store : stores_) try {
        std::optional<UtcTime> until;
        if (store.locks_objects) until = outcome_.record.ended_at + kDrillRecordLifetime;
        put_drill_record(*store.store, outcome_.record, until);
        kept_in_.push_back(store.name);
      } catch (const Error& error) {
        run_.log.warning(fmt::format("store {} does not keep the drill's record: {}", store.name,
                                     error.in_one_line()));
      }
  }

  // To the audit trail and to those who are alerted. Whether the recovery point is as promised is
  // said by `status`, which looks more often.
  void tell(OperationPart& part) {
    const DrillRecord& record = outcome_.record;
    part.target(record.backup);
    part.detail("id", record.id);
    part.detail("verdict", std::string(drill_verdict_name(record.verdict)));
    part.detail("rows", std::to_string(record.rows));
    part.detail("seconds", fmt::format("{:.1f}", record.rto_seconds));
    part.detail("stores", fmt::format("{}", fmt::join(kept_in_, ", ")));
    if (record.destroyed_at) part.detail("destroyed_at", format_rfc3339(*record.destroyed_at));
    if (outcome_.interrupted) return;
    CommandAlerts& alerts = context_.operation.alerts();
    FailureFacts facts;
    facts.backup = record.backup;
    if (record.verdict != DrillVerdict::passed) {
      bool failed = record.verdict == DrillVerdict::failed;
      facts.code = failed ? ErrorCode::corrupt : ErrorCode::unavailable;
      facts.problems = static_cast<int64_t>(record.problems.size());
      alerts.failed(IncidentKind::drill, "", failed ? Severity::critical : Severity::warning,
                    facts);
      return;
    }
    alerts.good(IncidentKind::drill, "");
    if (record.within_rto()) {
      alerts.good(IncidentKind::rto, "");
      return;
    }
    facts.measured_seconds = static_cast<int64_t>(std::ceil(record.rto_seconds));
    facts.target_seconds = record.rto_target_seconds;
    alerts.failed(IncidentKind::rto, "", Severity::critical, facts);
  }

  int conclude() {
    const DrillRecord& record = outcome_.record;
    bool passed = record.verdict == DrillVerdict::passed;
    bool in_time = record.within_rto() && record.within_rpo();
    bool ok = passed && in_time && !kept_in_.empty();
    context_.output.document(drill_document(record, ok, kept_in_));
    show(ok);
    if (outcome_.interrupted) return kExitInterrupted;
    if (record.verdict == DrillVerdict::failed) return kExitDamage;
    if (!passed) return kExitFailed;
    if (!in_time) return kExitViolation;
    return kept_in_.empty() ? kExitPartial : kExitDone;
  }

  void show(bool ok) {
    const DrillRecord& record = outcome_.record;
    Output& output = context_.output;
    output.line(fmt::format("{}  {}  {}  {}", record.backup, drill_kind_name(record.kind),
                            record.store, record.chosen));
    for (const DrillPhase& phase : record.phases)
      output.line(fmt::format("  {:<8} {}", phase.name, human_seconds(phase.seconds)));
    for (const DrillTable& table : record.tables)
      if (table.critical)
        output.line(fmt::format("  {}: {} rows{}", printable(table.name), table.rows,
                                table.same       ? ", as backed up"
                                : table.expected ? fmt::format(" of {}", *table.expected)
                                                 : ""));
    for (const DrillQuery& query : record.queries)
      output.line(
          fmt::format("  query {}: {}", printable(query.name), query.passed ? "passed" : "FAILED"));
    if (!record.amcheck.empty()) output.line("  amcheck: " + printable(record.amcheck));
    for (size_t i = 0; i < std::min(record.problems.size(), kDrillProblemsShown); ++i)
      output.line("  problem: " + printable(record.problems[i]));
    if (record.problems.size() > kDrillProblemsShown)
      output.line(fmt::format("  and {} more problems (they are in the record)",
                              record.problems.size() - kDrillProblemsShown));
    for (const std::string& note : record.notes) output.line("  note: " + printable(note));
    if (record.destroyed_at) output.line("  what was restored is destroyed");
    if (!kept_in_.empty())
      output.line(fmt::format("  recorded as {}{}.json and .md in {}", kDrillPrefix, record.id,
                              fmt::join(kept_in_, ", ")));
    output.verdict(ok, closing_line());
  }

  std::string closing_line() const {
    const DrillRecord& record = outcome_.record;
    std::string rto = record.rto_seconds > 0 ? human_seconds(record.rto_seconds) : "not reached";
    std::string rpo = record.rpo_seconds ? human_seconds(*record.rpo_seconds) : "nothing proven";
    auto against = [](bool within, int64_t target) {
      return fmt::format("{} of {}", within ? "" : " MISSED", human_seconds(double(target)));
    };
    std::string verdict(drill_verdict_name(record.verdict));
    std::transform(verdict.begin(), verdict.end(), verdict.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c; });
    return fmt::format("{} {} · {} · {} rows · RTO {}{} · RPO {}{}", verdict, record.backup,
                       plural(record.tables.size(), "table"), human_count(record.rows), rto,
                       against(record.within_rto(), *record.rto_target_seconds), rpo,
                       against(record.within_rpo(), *record.rpo_target_seconds));
  }

  CommandContext& context_;
  const Config& config_;
  const Run& run_;
  std::vector<OpenStore> stores_;
  DrillRecord begun_;
  DrillSettings settings_;
  uint64_t seed_ = 0;
  std::string chosen_;
  std::optional<std::vector<Located>> listed_;  // read once: a manifest may be large
  DrillOutcome outcome_;
  std::vector<std::string> kept_in_;
};

}  // namespace

int command_drill(CommandContext& context) {
  return DrillCommand(context).run();
}

}  // namespace holdfast
