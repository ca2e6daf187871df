#include "cli/branch_leg.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"
#include "cli/api.h"
#include "dump/names.h"

namespace holdfast {
namespace {

// Ages are reckoned by this machine's clock: with another day at the API, nothing goes by it.
constexpr std::chrono::hours kBranchSkewMax{24};

Error proof_error_of(const VerifyReport& report) {
  if (report.verdict == Verdict::fail)
    return Error(ErrorCode::corrupt,
                 fmt::format("the proof of {} failed: {}: {}", report.id,
                             report.problems.front().where, report.problems.front().what),
                 "the backup stays listed with its failed proof; look at the branch, and make "
                 "another backup");
  std::string why = report.notes.empty() ? "" : ": " + report.notes.back();
  return Error(ErrorCode::unavailable,
               fmt::format("the proof of {} was inconclusive{}", report.id, why),
               "the branch is there; prove it when its compute can be reached: holdfast verify " +
                   report.id);
}

}  // namespace

BranchLeg::BranchLeg(const Config& config, const std::vector<OpenStore>& stores, const Run& run,
                     Operation& operation)
    : config_(config), stores_(stores), run_(run), operation_(operation) {
  outcome_.kind = "branch";
}

BranchLeg::~BranchLeg() = default;

template <typename Work>
void BranchLeg::guarded(Work work) {
  double begin = run_.clock.monotonic_seconds();
  try {
    work();
  } catch (const Error& error) {
    outcome_.error = error;
  } catch (const std::exception& error) {  // in a thread of its own, nobody else would see it
    outcome_.error = Error(ErrorCode::internal, error.what());
  }
  outcome_.seconds += run_.clock.monotonic_seconds() - begin;
}

void BranchLeg::make() {
  guarded([&] {
    api_.emplace(config_, run_);
    adopt_unrecorded();
    check_room();
    std::vector<std::string> notes;
    BranchBackupRecord made =
        make_branch_backup(api_->client(), branch_backup_settings(config_), notes, run_);
    outcome_.id = made.id;
    outcome_.branch = made;
    record(made);
    lines_.push_back(fmt::format(
        "{}  branch of {} at {}{}{}", made.id, printable(made.parent_name, 80), made.host,
        made.lsn.empty() ? "" : ", lsn " + made.lsn, made.is_protected ? ", protected" : ""));
    for (const std::string& note : notes) lines_.push_back("  note: " + note);
  });
}

// What a run that died made, or what a lost store knew: the branches themselves tell.
void BranchLeg::adopt_unrecorded() {
  std::set<std::string> known;
  for (const LocatedBranch& located : list_branches_everywhere(stores_, "", run_))
    known.insert(located.id);
  for (const BranchBackupRecord& found :
       unrecorded_branch_backups(api_->client(), branch_backup_settings(config_), known)) {
    run_.log.info(fmt::format("{} was made and not recorded: it is now", found.id));
    for (const OpenStore& store : stores_) {
      try {
        write_object(*store.store, manifest_name(found.id), as_bytes(write_branch_record(found)));
      } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        run_.log.warning(fmt::format("store {}: {}", store.name, error.what()));
      }
    }
  }
}

void BranchLeg::check_room() {
  BranchRoom room = branch_room(api_->client());
  if (room.limit <= 0 || room.count < room.limit) return;
  if (!config_.flag("no_prune") &&
      operation_.may_remove()) {  // what retention would let go later goes now
    if (std::optional<Error> failure = prune())
      run_.log.warning(fmt::format("retention of branches failed: {}", failure->what()));
    room = branch_room(api_->client());
    if (room.count < room.limit) return;
  }
  throw Error(ErrorCode::unsupported,
              fmt::format("the plan{} allows {} branches, and there are {}",
                          room.plan.empty() ? "" : " (" + printable(room.plan, 40) + ")",
                          room.limit, room.count),
              "delete branches that are no longer needed (holdfast branch list), keep fewer "
              "backups (branch_backups_max), or raise the plan");
}

void BranchLeg::record(const BranchBackupRecord& made) {
  std::string document = write_branch_record(made);
  located_ = LocatedBranch{made.id, {}};
  std::optional<Error> first;
  for (size_t i = 0; i < stores_.size(); ++i) {
    StoreOutcome outcome{stores_[i].store->location(), std::nullopt, std::nullopt, {}};
    try {
      write_object(*stores_[i].store, manifest_name(made.id), as_bytes(document));
      located_->copies.push_back({i, {made.id, made, "", std::nullopt, std::nullopt}});
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      outcome.error = error;
      if (!first) first = stores_.size() > 1 ? error.within("store " + stores_[i].name) : error;
    }
    outcome_.stores.push_back(std::move(outcome));
  }
  if (!first) return;
  if (located_->copies.empty())
    throw Error(
        first->code(),
        fmt::format("branch {} stands, but could not be recorded: {}", made.id, first->what()),
        "the next run records it, once a store can be written");
  record_error_ =
      Error(ErrorCode::partial, fmt::format("{}; the branch is recorded elsewhere", first->what()),
            first->hint());
}

Conninfo BranchLeg::open_for_dump() {
  run_.progress.phase("starting a compute on " + outcome_.id);
  neon::Client& client = api_->client();
  neon::Branch branch = client.branch(outcome_.branch->branch_id);
  LoginChoice login = branch_verify_options(config_, VerifyLevel::deep).login;
  access_ = std::make_unique<ComputeAccess>(client, branch, login, run_);
  return access_->conninfo();
}

void BranchLeg::taken_from_it(const Manifest& dump) {
  BranchTables tables;
  tables.dump_id = dump.id;
  tables.partial = true;  // a dump may leave tables out, and knows some that a proof does not read
  for (const TableRecord& table : dump.tables) tables.tables.push_back({table.name, table.sum});
  store_branch_tables(stores_, *located_, tables, run_);
}

void BranchLeg::prove_and_prune() {
  guarded([&] {
    prove();
    if (!outcome_.error) outcome_.error = record_error_;
    bool proven = outcome_.proof && outcome_.proof->ok;
    if (!proven || outcome_.error || config_.flag("no_prune") || !operation_.may_remove()) return;
    if (std::chrono::abs(run_.clock.now() - outcome_.branch->created_at) > kBranchSkewMax) {
      run_.log.warning(
          fmt::format("no branch is removed by retention: this machine's clock and {} "
                      "differ by more than a day",
                      outcome_.branch->host));
      return;
    }
    if (std::optional<Error> failure = prune())
      outcome_.error = Error(
          ErrorCode::partial,
          fmt::format("the backup is safe, but retention of branches failed: {}", failure->what()),
          failure->hint().empty() ? "holdfast prune takes it up again" : failure->hint());
  });
  access_.reset();
}

void BranchLeg::prove() {
  std::string asked = config_.text("verify");
  if (asked == "none") {
    lines_.push_back(outcome_.id + " is not proven (--verify none)");
    return;
  }
  VerifyLevel level = asked == "stored" ? VerifyLevel::quick : parse_verify_level(asked);
  report_ =
      prove_branch(api_->client(), stores_, *located_, branch_verify_options(config_, level), run_);
  outcome_.proof = proof_of(*report_, run_.clock);
  outcome_.problems = report_->problems;
  if (!report_->ok()) outcome_.error = proof_error_of(*report_);
}

std::optional<Error> BranchLeg::prune() {
  std::vector<LocatedBranch> branches =
      list_branches_everywhere(stores_, configured_database(config_), run_);
  PrunePlan plan = prune_branches(api_->client(), config_, stores_, branches, /*dry_run=*/false,
                                  run_, &operation_);
  for (const PruneEntry& entry : plan.entries) {
    if (entry.decision.action != RetentionAction::remove) continue;
    outcome_.removed.push_back(entry.decision.id);
    lines_.push_back(
        fmt::format("removed branch {}: {}", entry.decision.id, entry.decision.reason));
  }
  if (plan.failure && plan.failure->code() == ErrorCode::cancelled) throw Error(*plan.failure);
  return plan.failure;
}

}  // namespace holdfast
