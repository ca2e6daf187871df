#include "engine/state.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/expect_error.h"

// Tests name the members that matter to them; the others have their defaults.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

namespace holdfast {
namespace {

class StateTest : public testing::Test {
 protected:
  std::unique_ptr<State> open(State::Probe probe = {}) { return State::open(path, probe); }
  void put(State& state, Record record) {
    auto lock = state.lock();
    Change change;
    change.put(std::move(record));
    state.apply(std::move(change));
  }
  TempFolder folder{"holdfast-state-test-"};
  std::string path = folder.path() + "/engine.db";
};

BranchRecord full_branch() {
  BranchRecord branch;
  branch.shown.id = "br-quiet-river-00000001";
  branch.shown.name = "näme \"x\"";
  branch.shown.parent_id = "br-main";
  branch.shown.parent_lsn = "0/16B3748";
  branch.shown.parent_timestamp = parse_rfc3339("2026-11-10T14:30:00.123Z");
  branch.shown.is_protected = true;
  branch.shown.logical_size = 12345678901;
  branch.shown.annotation = {{"k", "v"}};
  branch.point.timeline = 3;
  branch.point.record = Lsn{0xFFFFFFFF00000028};
  branch.point.end = Lsn{0xFFFFFFFF00000100};
  branch.point.commit_time = parse_rfc3339("2026-11-10T14:29:59.999Z");
  branch.line = branch.shown.id;
  branch.brought = BroughtFolder{.settings = {{"a", "1"}, {"a", "2"}},
                                 .source_settings = {{"work_mem", "4MB"}},
                                 .snapshot = {.id = "snap-x", .bytes = 5},
                                 .cloned = true};
  branch.roles = {{"app", Secret("pä\"ss"), true, {}, {}}};
  branch.databases = {{16384, "app", "app", {}, {}}};
  branch.schedule = {{.frequency = "daily", .hour = 3, .retention_seconds = 3600}};
  return branch;
}

TEST_F(StateTest, EveryKindOfRecordComesBackAsItWas) {
  std::vector<Record> records;
  ProjectRecord project;
  project.shown.id = "quiet-river-00000001";
  project.shown.history_retention_seconds = 86400;
  project.next_number = 77;
  records.push_back(project);
  records.push_back(full_branch());
  EndpointRecord endpoint;
  endpoint.shown.id = "ep-x";
  endpoint.shown.pg_settings = {{"work_mem", "8MB"}};
  endpoint.shown.autoscaling_limit_max_cu = 0.5;
  endpoint.port = 15500;
  records.push_back(endpoint);
  OperationRecord operation;
  operation.shown.id = "5f0c7a30-0000-4000-8000-000000000000";
  operation.sequence = 9;
  operation.queues = {"a", "b"};
  operation.arguments = {{"what", "drop_role"}};
  records.push_back(operation);
  SnapshotRecord snapshot;
  snapshot.shown.id = "snap-x";
  snapshot.shown.slug = "before";
  snapshot.shown.manual = false;
  snapshot.point.end = Lsn{1};
  records.push_back(snapshot);
  RestoreJournal journal;
  journal.operation_id = operation.shown.id;
  journal.step = RestoreStep::swap;
  journal.logins = {{"app", Secret("SCRAM-SHA-256$x"), "LOGIN"}};
  journal.old_end = RestorePoint{.timeline = 2};
  records.push_back(journal);
  records.push_back(GoneRecord{"br-gone", parse_rfc3339("2026-11-10T14:30:00.123Z")});

  std::vector<std::string> texts;
  for (const Record& record : records) {
    std::string text = record_text(record);
    EXPECT_EQ(record_text(read_record(kind_of(record), text)), text);
    EXPECT_EQ(kind_named(kind_name(kind_of(record))), kind_of(record));
    texts.push_back(text);
  }
  {
    auto state = open();
    auto lock = state->lock();
    Change change;
    for (const Record& record : records) change.put(record);
    state->apply(std::move(change));
  }
  auto state = open();
  const Tables& tables = state->tables();
  EXPECT_EQ(record_text(tables.project), texts[0]);
  EXPECT_EQ(record_text(tables.branches.at("br-quiet-river-00000001")), texts[1]);
  EXPECT_EQ(record_text(tables.endpoints.at("ep-x")), texts[2]);
  EXPECT_EQ(record_text(*tables.operation(operation.shown.id)), texts[3]);
  EXPECT_EQ(tables.open_operations, std::set<int64_t>{9});
  EXPECT_EQ(record_text(tables.snapshots.at("snap-x")), texts[4]);
  EXPECT_EQ(record_text(tables.journals.at(operation.shown.id)), texts[5]);
  EXPECT_EQ(record_text(tables.gone.at("br-gone")), texts[6]);
}

TEST_F(StateTest, WhatIsNotWrittenHasNotHappened) {
  bool fail = false;
  auto state = open([&](std::string_view where) {
    if (fail && where == "before a write") throw Error(ErrorCode::unavailable, "disk full");
  });
  put(*state, full_branch());
  fail = true;
  BranchRecord changed = full_branch();
  changed.shown.name = "other";
  EXPECT_ERROR(unavailable, put(*state, changed));
  EXPECT_EQ(state->tables().branch(changed.shown.id)->shown.name, full_branch().shown.name);
  state.reset();
  EXPECT_EQ(open()->tables().branch(changed.shown.id)->shown.name, full_branch().shown.name);
}

TEST_F(StateTest, ErasedRecordsAreGone) {
  auto state = open();
  put(*state, full_branch());
  {
    auto lock = state->lock();
    Change change;
    change.erase(RecordKind::branch, full_branch().shown.id);
    state->apply(std::move(change));
  }
  EXPECT_EQ(state->tables().branches.size(), 0U);
  state.reset();
  EXPECT_EQ(open()->tables().branches.size(), 0U);
}

TEST_F(StateTest, OnlyItsOwnerCanReadIt) {
  auto state = open();
  put(*state, full_branch());
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat status {};
    ASSERT_EQ(::stat((path + suffix).c_str(), &status), 0) << suffix;
    EXPECT_EQ(status.st_mode & 0777, 0600U) << suffix;
  }
}

TEST_F(StateTest, ForeignAndNewerFilesAreRefused) {
  std::ofstream(path) << std::string(4096, 'x');
  EXPECT_ERROR(corrupt, open());
  std::filesystem::remove(path);
  open();
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  sqlite3_exec(db, "PRAGMA user_version=2", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  EXPECT_ERROR(unsupported, open());
}

TEST_F(StateTest, ARecordThatCannotBeReadIsNamedAndNotShown) {
  for (const char* text :
       {"", "{", "[]x", "{\"roles\":[{\"password\":7}]}", "{\"roles\":{\"password\":\"p\"}}"})
    try {
      Record record = read_record(RecordKind::branch, text);
      EXPECT_STREQ(text, "{\"roles\":{\"password\":\"p\"}}") << "was read";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::corrupt);
      EXPECT_EQ(std::string(error.what()).find("password"), std::string::npos);
    }
}

}  // namespace
}  // namespace holdfast
