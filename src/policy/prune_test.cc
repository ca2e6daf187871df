#include "policy/prune.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "base/expect_error.h"
#include "base/file.h"
#include "dump/manifest_samples.h"
#include "dump/names.h"
#include "store/fault_store.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Ids = std::vector<std::string>;

constexpr const char* kMachine = "0123456789abcdef";

// As an S3 bucket with Object Lock: some objects are locked, and it may or may not say so.
class LockingStore final : public ObjectStore {
 public:
  explicit LockingStore(ObjectStore& inner) : inner_(inner) {}

  std::map<std::string, UtcTime> locks;  // object → until when
  bool tells = true;

  std::string location() const override { return inner_.location(); }
  std::unique_ptr<ObjectWriter> put(const std::string& name, const PutOptions& options) override {
    return inner_.put(name, options);
  }
  std::unique_ptr<ObjectReader> open(const std::string& name) override { return inner_.open(name); }
  ObjectInfo head(const std::string& name) override {
    ObjectInfo info = inner_.head(name);
    if (auto found = locks.find(name); tells && found != locks.end())
      info.locked_until = found->second;
    return info;
  }
  std::vector<ObjectInfo> list(const std::string& prefix) override { return inner_.list(prefix); }
  void remove(const std::string& name) override {
    if (locks.count(name) > 0) throw Error(ErrorCode::denied, name + " is locked");
    inner_.remove(name);
  }
  void check_writable(uint64_t bytes) override { inner_.check_writable(bytes); }
  size_t reap_unfinished(const LeftoverTest& test) override { return inner_.reap_unfinished(test); }

 private:
  ObjectStore& inner_;
};

class PruneTest : public testing::Test {
 protected:
  void put(const std::string& name, std::string_view content) {
    write_object(*store_, name, as_bytes(content));
  }
  std::string id_of_age(int age_days, const std::string& database = "care") {
    return backup_id(database, now_ - days(age_days) - hours(1));
  }
  // A backup as far as the policy looks at it.
  std::string put_backup(int age_days, bool proven = true, const std::string& database = "care",
                         bool sealed = false) {
    Manifest m = sample_manifest(database, format_rfc3339(now_ - days(age_days) - hours(1)));
    if (sealed) seal_sample(m, SealMethod::passphrase);
    put(m.archive_object, "PGDMP");
    put(*m.globals_object, "-- roles");
    put(manifest_name(m.id), write_manifest(m));
    if (proven) record_proof(*store_, m.id, {"deep", true, "PASS", m.created_at, 1.5});
    return m.id;
  }
  std::vector<std::string> names() {
    std::vector<std::string> found;
    for (const ObjectInfo& object : store_->list("")) found.push_back(object.name);
    return found;
  }
  Ids ids() {
    Ids found;
    for (const Backup& backup : list_backups(*store_, "")) found.push_back(backup.id);
    return found;
  }
  PrunePlan plan(ObjectStore& store) {
    return plan_prune(store, list_backups(store, ""), policy_, now_);
  }
  PrunePlan prune(ObjectStore& store) {
    PrunePlan made = plan(store);
    apply_prune(store, made, kMachine, run_);
    return made;
  }
  static const RetentionDecision& decision(const PrunePlan& plan, const std::string& id) {
    for (const PruneEntry& entry : plan.entries)
      if (entry.decision.id == id) return entry.decision;
    throw Error(ErrorCode::not_found, id);
  }
  std::vector<std::string> problems(std::vector<StoreInventory> stores) {
    std::vector<std::string> lines;
    for (const PolicyProblem& problem : check_policy(stores, policy_, now_))
      lines.push_back(problem.where + ": " + problem.what);
    return lines;
  }
  StoreInventory inventory(const std::string& name, ObjectStore* store = nullptr) {
    return {name, list_backups(*store_, ""), "", store};
  }

  UtcTime now_ = parse_rfc3339("2026-11-23T03:00:00.000Z");
  RetentionPolicy policy_{30, 0, 1};
  ManualClock clock_{now_};
  NullLog log_;
  NullProgress progress_;
  holdfast::Run run_{clock_, log_, progress_, {}};
  TempFolder folder_{"holdfast-prune-"};
  std::unique_ptr<ObjectStore> store_ = make_local_store(folder_.path());
};

TEST_F(PruneTest, RemovesEveryObjectOfWhatGoesAndNothingElse) {
  put_backup(0);
  std::string held = put_backup(62);
  put_hold(*store_, held, {"audit 2026", "anna@db1", now_});
  put(id_of_age(60) + ".dump.old", "theirs");
  put(id_of_age(60) + ".txt", "theirs");
  put(id_of_age(60, "other") + ".dump", "a script's");
  std::vector<std::string> before = names();
  std::string plain = put_backup(60), sealed = put_backup(61, true, "care", true);
  record_proof(*store_, plain, {"restore", true, "PASS", now_, 9});

  PrunePlan done = prune(*store_);
  EXPECT_EQ(names(), before);
  EXPECT_EQ(done.count(RetentionAction::remove), 2u);
  EXPECT_EQ(decision(done, held).reason, "held: audit 2026 (anna@db1)");
  EXPECT_EQ(prune(*store_).count(RetentionAction::remove), 0u);
}

TEST_F(PruneTest, DatabasesAreDecidedEachByItself) {
  put_backup(0);
  std::string old_care = put_backup(60);
  put_backup(0, false, "billing");
  std::string old_billing = put_backup(60, true, "billing"),
              older = put_backup(61, true, "billing");
  std::string only_one = put_backup(90, true, "archive");
  PrunePlan done = prune(*store_);
  EXPECT_THAT(done.blocked, ElementsAre("billing"));
  EXPECT_EQ(decision(done, old_care).action, RetentionAction::remove);
  EXPECT_EQ(decision(done, older).action, RetentionAction::keep);
  Ids left = ids();
  for (const std::string& id : {old_billing, older, only_one})
    EXPECT_EQ(std::count(left.begin(), left.end(), id), 1) << id;
}

// Whatever operation fails, and whether it took effect or not: what is listed is whole, what is
// gone is reported, and the next run ends with what this one should have.
TEST_F(PruneTest, AFailureAnywhereLeavesNothingBrokenAndTheNextRunFinishes) {
  put_backup(0);
  std::string held = put_backup(62);
  put_hold(*store_, held, {"audit 2026", "anna@db1", now_});
  put(id_of_age(60) + ".txt", "theirs");
  std::vector<std::string> sound = names();
  FaultStore faulty(*store_);
  for (bool after : {false, true})
    for (bool and_later : {false, true})
      for (uint64_t at = 1;; ++at) {
        std::string first = put_backup(60), second = put_backup(61, false);
        PrunePlan made = plan(*store_);
        faulty.restart({.fail_at = at, .and_later = and_later, .after_effect = after});
        apply_prune(faulty, made, kMachine, run_);
        std::vector<std::string> left = names();
        auto stands = [&](const std::string& name) {
          return std::find(left.begin(), left.end(), name) != left.end();
        };
        for (const std::string& id : ids()) {
          ASSERT_TRUE(stands(archive_name(id)) && stands(globals_name(id))) << id << " at " << at;
          ASSERT_NE(decision(made, id).action, RetentionAction::remove) << at;
        }
        for (const std::string& id : {first, second}) {
          if (decision(made, id).action != RetentionAction::remove) continue;
          ASSERT_FALSE(stands(archive_name(id)) || stands(claim_name(id))) << at;
        }
        reap_crashed_runs(*store_, {});
        prune(*store_);
        ASSERT_EQ(names(), sound) << at;
        if (faulty.operations() < at) {
          EXPECT_FALSE(made.failure);
          EXPECT_GT(at, 12u);
          break;
        }
        // None, if the operation was one that had failed anyway: there is no hold to be read.
        if (made.failure) {
          ASSERT_EQ(made.failure->code(), ErrorCode::unavailable);
        }
      }
}

TEST_F(PruneTest, TheWishToStopEndsItBetweenTwoBackups) {
  put_backup(0);
  std::string first = put_backup(60);
  std::stop_source stop;
  stop.request_stop();
  holdfast::Run run{clock_, log_, progress_, stop.get_token()};
  PrunePlan made = plan(*store_);
  apply_prune(*store_, made, kMachine, run);
  ASSERT_TRUE(made.failure);
  EXPECT_EQ(made.failure->code(), ErrorCode::cancelled);
  EXPECT_EQ(decision(made, first).action, RetentionAction::not_yet);
  EXPECT_EQ(ids().size(), 2u);
}

TEST_F(PruneTest, WhatIsHeldAfterThePlanWasMadeStays) {
  put_backup(0);
  std::string old = put_backup(60);
  PrunePlan made = plan(*store_);
  put_hold(*store_, old, {"court order", "anna@db1", now_});
  std::vector<std::string> before = names();
  apply_prune(*store_, made, kMachine, run_);
  EXPECT_EQ(names(), before);
  EXPECT_FALSE(made.failure);
  EXPECT_EQ(decision(made, old).action, RetentionAction::keep);
  EXPECT_EQ(decision(made, old).reason, "held: court order (anna@db1)");
}

// Somebody holds a backup at each moment of its removal: either it stays and is held, or the hold
// is refused; it is never accepted and then lost.
TEST_F(PruneTest, AHoldIsNeverAcceptedAndLost) {
  put_backup(0);
  FaultStore faulty(*store_);
  int accepted = 0, refused = 0;
  for (uint64_t at = 1;; ++at) {
    std::string old = put_backup(60);
    PrunePlan made = plan(*store_);
    faulty.restart({.fail_at = at, .and_later = true});  // it stands still at this moment …
    apply_prune(faulty, made, kMachine, run_);
    bool held = true;
    try {
      put_hold(*store_, old, {"court order", "anna@db1", now_});
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::busy || error.code() == ErrorCode::not_found);
      held = false;
    }
    reap_crashed_runs(*store_, {});  // … and is gone on with
    prune(*store_);
    Ids left = ids();
    // Held: it is there. Refused: it may be there all the same, but not when it was on its way out.
    ASSERT_EQ(std::count(left.begin(), left.end(), old), held ? 1 : 0) << at;
    ++(held ? accepted : refused);
    for (const std::string& name : names())
      if (name.starts_with(old)) store_->remove(name);
    if (!made.failure) break;
  }
  EXPECT_GT(accepted, 1);
  EXPECT_GT(refused, 3);
}

TEST_F(PruneTest, LockedOnesAreNotYetAndStayWhole) {
  put_backup(0);
  std::string old = put_backup(60);
  LockingStore locking(*store_);
  UtcTime until = now_ + hours(2);
  for (const std::string& name : {archive_name(old), manifest_name(old)})
    locking.locks[name] = until;
  std::vector<std::string> before = names();
  for (bool tells : {true, false}) {
    locking.tells = tells;
    PrunePlan done = prune(locking);
    EXPECT_EQ(decision(done, old).action, RetentionAction::not_yet);
    EXPECT_THAT(decision(done, old).reason, HasSubstr("locked"));
    // A lock that nobody tells of looks like a right that is missing, and that has to be said.
    EXPECT_EQ(done.failure.has_value(), !tells);
    EXPECT_EQ(names(), before);
  }
  locking.tells = true;
  EXPECT_THAT(problems({inventory("s3", &locking)}), IsEmpty());
  EXPECT_EQ(problems({inventory("s3")}).size(), 1u);
  locking.locks.clear();
  EXPECT_EQ(prune(locking).count(RetentionAction::remove), 1u);
}

TEST_F(PruneTest, ThePolicyNamesWhatItIsViolatedBy) {
  policy_ = {30, 12, 7};
  for (int age : {0, 1, 2, 3, 4, 5, 6}) put_backup(age);
  EXPECT_THAT(problems({inventory("local")}), IsEmpty());
  std::string overdue = put_backup(800);
  EXPECT_THAT(problems({inventory("local")}),
              ElementsAre("local, database care: 1 backup beyond retention: " + overdue +
                          " (holdfast prune)"));
  put_hold(*store_, overdue, {"audit", "", now_});
  EXPECT_THAT(problems({inventory("local")}), IsEmpty());
}

TEST_F(PruneTest, ThePolicyGivesADayOfGrace) {
  policy_ = {30, 0, 1};
  put_backup(0);
  put_backup(2);
  std::string young = put_backup(31);  // went over the limit today: the nightly run will take it
  EXPECT_EQ(decision(plan(*store_), young).action, RetentionAction::remove);
  EXPECT_THAT(problems({inventory("local")}), IsEmpty());
  put_backup(32);
  EXPECT_EQ(problems({inventory("local")}).size(), 1u);
}

TEST_F(PruneTest, AYoungInstallationNeedsOnlyTheDaysItHas) {
  policy_ = {30, 12, 7};
  put_backup(0);
  EXPECT_THAT(problems({inventory("local")}), IsEmpty());
  put_backup(3);
  EXPECT_THAT(problems({inventory("local")}), ElementsAre(HasSubstr("backups of only 2 days")));
  put_backup(1);
  EXPECT_THAT(problems({inventory("local")}), IsEmpty());
}

TEST_F(PruneTest, EachStoreMustHoldWhatAnotherKeeps) {
  policy_ = {30, 12, 7};
  std::string id = put_backup(0);
  StoreInventory local = inventory("local"), bucket{"s3", {}};
  EXPECT_THAT(problems({local, bucket}),
              ElementsAre("s3, database care: lacks 1 backup that another store holds: " + id +
                          " (holdfast copy ID --to s3)"));
  EXPECT_THAT(problems({local, local}), IsEmpty());
  // What could not be looked at lacks nothing that we know of; that is the problem.
  bucket.unreadable = "no route to host";
  EXPECT_THAT(problems({local, bucket}),
              ElementsAre("s3: could not be looked at: no route to host"));
  // What retention lets go may be missing elsewhere.
  policy_ = {30, 12, 1};
  put_backup(800);
  for (const std::string& line : problems({inventory("local"), local}))
    EXPECT_THAT(line, HasSubstr("beyond retention"));
}

// --- branches

std::vector<BranchBackup> nightly_branches(UtcTime now, int nights, bool newest_proven = true) {
  std::vector<BranchBackup> branches;
  for (int age = 0; age < nights; ++age) {
    BranchBackup backup;
    UtcTime at = now - days(age) - hours(1);
    backup.record = sample_branch_record(format_rfc3339(at));
    backup.id = backup.record->id;
    if (age > 0 || newest_proven) backup.proof = Proof{"deep", true, "PASS", at, 1};
    branches.push_back(std::move(backup));
  }
  return branches;
}

TEST(BranchPrune, GoesByTheSamePolicyAndThePlansRoom) {
  UtcTime now = parse_rfc3339("2026-11-23T12:00:00.000Z");
  RetentionPolicy policy;
  PrunePlan plan = plan_branch_prune(nightly_branches(now, 60), policy, now);
  EXPECT_EQ(plan.entries.size(), 60u);
  EXPECT_EQ(plan.count(RetentionAction::keep), 31u + 2u);  // and the first of two months
  policy.count_max = 9;
  plan = plan_branch_prune(nightly_branches(now, 60), policy, now);
  EXPECT_EQ(plan.count(RetentionAction::keep), 9u);
  EXPECT_EQ(plan.entries.front().decision.action, RetentionAction::keep);
  EXPECT_EQ(plan.entries[8].decision.action, RetentionAction::keep);
  plan = plan_branch_prune(nightly_branches(now, 60, /*newest_proven=*/false), policy, now);
  EXPECT_EQ(plan.count(RetentionAction::remove), 0u);
  EXPECT_THAT(plan.blocked, ElementsAre("care"));
}

TEST(BranchPrune, WhatCannotBeRemovedIsNotYetAndSaid) {
  UtcTime now = parse_rfc3339("2026-11-23T12:00:00.000Z");
  PrunePlan plan = plan_branch_prune(nightly_branches(now, 40), {}, now);
  ManualClock clock(now);
  NullLog log;
  NullProgress progress;
  holdfast::Run run{clock, log, progress, {}};
  Ids tried;
  apply_prune(
      plan,
      [&](const std::string& id) -> std::optional<Hold> {
        tried.push_back(id);
        if (tried.size() == 1) throw Error(ErrorCode::denied, "it was renamed");
        if (tried.size() == 2) return Hold{"audit", "", now};
        return std::nullopt;
      },
      run);
  EXPECT_GT(tried.size(), 3u) << "one that is denied does not keep the others";
  EXPECT_LT(tried[0], tried[1]) << "the oldest first";
  EXPECT_EQ(plan.count(RetentionAction::not_yet), 1u);
  ASSERT_TRUE(plan.failure);
  EXPECT_THAT(plan.failure->what(), HasSubstr("renamed"));
}

TEST(BranchPolicy, SeesWhatIsOverdueAndWhatIsMissing) {
  UtcTime now = parse_rfc3339("2026-11-23T12:00:00.000Z");
  EXPECT_THAT(check_branch_policy("branches", nightly_branches(now, 31), {}, now), IsEmpty());
  auto overdue = check_branch_policy("branches", nightly_branches(now, 60), {}, now);
  ASSERT_EQ(overdue.size(), 1u);
  EXPECT_THAT(overdue[0].what, HasSubstr("beyond retention"));
  std::vector<BranchBackup> few = nightly_branches(now, 31);
  few.erase(few.begin() + 1, few.begin() + 28);
  auto missing = check_branch_policy("branches", few, {}, now);
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_THAT(missing[0].what, HasSubstr("of only 4 days"));
}

}  // namespace
}  // namespace holdfast
