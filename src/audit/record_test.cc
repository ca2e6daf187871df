#include "audit/record.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <unistd.h>

#include "audit/audit_fixture.h"
#include "audit/canonical.h"
#include "audit/identity.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

AuditRecord record_of(AuditEvent event) {
  AuditRecord record;
  record.seq = 12;
  record.time = parse_rfc3339("2026-11-23T02:00:00.123Z");
  record.event = bounded_event(std::move(event));
  record.prev = std::string(64, 'a');
  return record;
}

TEST(AuditRecordTest, IsSpeltAsTheFormatSays) {
  AuditRecord record = record_of(audit_event());
  std::string body =
      R"({"v":1,"seq":12,"time":"2026-11-23T02:00:00.123Z","organization":"Care Commons",)"
      R"("actor_kind":"os_user","actor":"anna","host":"db1","address":"192.0.2.7",)"
      R"("action":"backup.dump","target":"care","outcome":"ok","run":"5f0c2a9e",)"
      R"("detail":{"bytes":"1048576","note":"a \"quoted\" \\ text"},"prev":")" +
      std::string(64, 'a') + "\"";
  std::string line = write_audit_line(record);
  EXPECT_EQ(line, body + ",\"hash\":\"" + sha256_hex(as_bytes(body)) + "\"}");
  EXPECT_EQ(record.hash, sha256_hex(as_bytes(body)));
  EXPECT_EQ(line.size() - 75, body.size());  // what the format page tells operators to cut off
}

TEST(AuditRecordTest, WhateverIsGivenComesBackAsItWasBounded) {
  EXPECT_TRUE(rc::check("spelling", [] {
    auto text = [] { return *rc::gen::arbitrary<std::string>(); };
    AuditEvent event = audit_event(text());
    event.who = {text(), *rc::gen::element(AuditActorKind::ci, AuditActorKind::service), text(),
                 text(), text()};
    event.outcome = *rc::gen::element(AuditOutcome::begun, AuditOutcome::cancelled);
    event.run = text();
    event.detail = {{"a", text()}, {"b", text()}};
    AuditRecord record = record_of(event);
    std::string line = write_audit_line(record);
    AuditRecord read = read_audit_line(line);
    RC_ASSERT(write_audit_line(read) == line);
    RC_ASSERT(read.event.target == record.event.target);
    RC_ASSERT(read.event.detail == record.event.detail);
    RC_ASSERT(line.size() < kAuditLineBytesMax);
    RC_ASSERT(line.find('\n') == std::string::npos);
  }));
}

TEST(AuditRecordTest, TheLongestRecordFitsALine) {
  std::string longest(5000, '"');
  AuditEvent event = audit_event(longest, std::string(64, 'x'));
  event.who = {longest, AuditActorKind::os_user, longest, longest, longest};
  event.run = longest;
  event.detail.clear();
  for (char c = 'a'; c < 'a' + static_cast<char>(kAuditDetailsMax); ++c)
    event.detail[std::string(32, c)] = longest;
  AuditRecord record = record_of(event);
  EXPECT_LT(write_audit_line(record).size(), kAuditLineBytesMax);
  EXPECT_TRUE(record.event.target.ends_with("\"…"));
  EXPECT_LE(record.event.target.size(), 512u);
}

TEST(AuditRecordTest, OneSpellingOnly) {
  AuditRecord record = record_of(audit_event());
  std::string body = write_audit_line(record);
  body.resize(body.size() - 75);
  EXPECT_EQ(read_audit_line(close_document(body)).seq, 12u);
  auto with = [&](const std::string& what, const std::string& instead) {
    std::string other = body;
    size_t at = other.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return close_document(other.replace(at, what.size(), instead));
  };
  // Each has a hash that is right for it.
  for (auto [what, instead] : std::vector<std::pair<std::string, std::string>>{
           {"\"v\":1", "\"v\":2"},
           {"\"seq\":12", "\"seq\":012"},
           {"\"seq\":12", "\"seq\":-12"},
           {"\"seq\":12", "\"seq\": 12"},
           {"\"seq\":12", "\"seq\":9223372036854775808"},
           {"T02:00", "T25:00"},
           {"os_user", "root"},
           {"\"outcome\":\"ok\"", "\"outcome\":\"fine\""},
           {"backup.dump", "Backup"},
           {"backup.dump", ""},
           {"db1", "db\\u0031"},
           {"db1", "db\n1"},
           {"db1", "db\xff"},
           {"db1", std::string(300, 'x')},
           {"\\\\ text", "\\/ text"},
           {"{\"bytes\"", "{\"z\""},  // no longer ascending
           {"\"note\"", "\"bytes\""},
           {"1048576\",", "1048576\""},
           {"\"prev\":\"a", "\"prev\":\"A"},
           {"\"run\"", "\"ran\""}})
    EXPECT_ERROR(corrupt, read_audit_line(with(what, instead)));
  EXPECT_ERROR(corrupt, read_audit_line(close_document(body + ",\"more\":1")));
  EXPECT_ERROR_SAYING(corrupt, "hash", read_audit_line(body));
  EXPECT_ERROR(corrupt, read_audit_line(""));
}

TEST(AuditRecordTest, WhatNoCallerMaySay) {
  for (const char* action : {"", "Backup", "1st", "a b", "a\"b"})
    EXPECT_ERROR(invalid, bounded_event(audit_event("care", action)));
  AuditEvent event = audit_event();
  event.detail["Not A Key"] = "x";
  EXPECT_ERROR(invalid, bounded_event(event));
  event = audit_event();
  for (size_t i = 1; i < 20; ++i) event.detail.emplace(std::string(i, 'k'), "x");
  EXPECT_ERROR(invalid, bounded_event(event));
  EXPECT_EQ(parse_audit_outcome("denied"), AuditOutcome::denied);
  EXPECT_ERROR(invalid, parse_audit_outcome("fine"));
}

TEST(AuditIdentity, TheSystemsUserOrWhoTheCiNames) {
  AuditWho plain = local_identity("Care", {{"GITHUB_ACTOR", "mallory"}});
  EXPECT_EQ(plain.kind, AuditActorKind::os_user);
  EXPECT_NE(plain.actor, "mallory");  // it is no GitHub workflow
  EXPECT_FALSE(plain.actor.empty());
  EXPECT_FALSE(plain.host.empty());
  EXPECT_EQ(plain.address, "local");
  std::map<std::string, std::string> github{{"GITHUB_ACTIONS", "true"},
                                            {"GITHUB_ACTOR", "anna"},
                                            {"GITHUB_RUN_ID", "4711"},
                                            {"SSH_CONNECTION", "192.0.2.9 4 192.0.2.1 22"}};
  AuditWho ci = local_identity("Care", github);
  EXPECT_EQ(ci.kind, AuditActorKind::ci);
  EXPECT_EQ(ci.actor, "github:anna");
  EXPECT_EQ(ci.address, "192.0.2.9");
  EXPECT_EQ(ci_run_id(github), "4711");
  std::map<std::string, std::string> gitlab{
      {"GITLAB_CI", "true"}, {"GITLAB_USER_LOGIN", "ben"}, {"CI_JOB_ID", "12"}};
  EXPECT_EQ(local_identity("", gitlab).actor, "gitlab:ben");
  EXPECT_EQ(ci_run_id(gitlab), "12");
  EXPECT_EQ(ci_run_id({}), "");
}

}  // namespace
}  // namespace holdfast
