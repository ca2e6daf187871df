#include "alert/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "alert/alert_fakes.h"
#include "alert/alerts.h"
#include "base/expect_error.h"
#include "base/file.h"

namespace holdfast {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const IncidentKey kBackup{IncidentKind::backup, "care", "s3"};
const IncidentKey kPrune{IncidentKind::prune, "care", "s3"};

// Notes what arrives; fails as it is told.
class TestSink final : public Notifier {
 public:
  TestSink(std::string name, ManualClock& clock) : name_(std::move(name)), clock_(clock) {}

  const std::string& name() const override { return name_; }
  bool wants(MessageType type) const override { return is_of_run(type) == of_runs; }
  bool remembers() const override { return with_memory; }
  DeliveryReceipt deliver(const Delivery& delivery) override {
    ++attempts;
    clock_.advance(takes);
    if (takes > seconds(0)) delivery.budget.check();
    if (fails) throw *fails;
    if (wait > milliseconds(0)) return {{}, wait};
    arrived.push_back(std::string(message_type_name(delivery.message.type)) + " " +
                      std::string(incident_kind_name(delivery.message.incident.key.kind)));
    notes.push_back(delivery.note);
    heads.push_back(delivery.message.audit_head ? delivery.message.audit_head->seq : 0);
    tickets.push_back(delivery.ticket);
    return {"ticket", {}, problem};
  }
  void test(const AlertMessage& message, const DeliveryBudget&) override {
    if (fails) throw *fails;
    heads.push_back(message.audit_head ? message.audit_head->seq : 0);
  }

  bool of_runs = false, with_memory = false;
  std::optional<Error> fails;
  milliseconds wait{0};
  std::string problem;
  seconds takes{0};
  int attempts = 0;
  std::vector<std::string> arrived, notes, tickets;
  std::vector<uint64_t> heads;  // numbers of the audit trail's last line, 0: none was said

 private:
  const std::string name_;
  ManualClock& clock_;
};

class OutboxTest : public ::testing::Test {
 protected:
  OutboxTest() {
    settings_.folder = folder_.path() + "/alerts";
    settings_.chance = [] { return 1.0; };
  }
  Outbox outbox() { return Outbox(settings_, {&slack_, &mail_}, clock_); }
  void fail(const IncidentKey& key = kBackup, Severity severity = Severity::warning) {
    outbox().failed(key, severity, {});
  }
  DeliveryReport deliver(seconds time_max = seconds(60)) { return outbox().deliver(time_max); }
  static Error down() { return Error(ErrorCode::unavailable, "it is down"); }

  TempFolder folder_{"alerts", "/dev/shm"};
  ManualClock clock_{alert_time("02T02:00")};
  TestSink slack_{"slack", clock_}, mail_{"mail", clock_};
  OutboxSettings settings_;
};

TEST_F(OutboxTest, AnIncidentOpensUpdatesAndEnds) {
  fail();
  fail();
  deliver();
  clock_.advance(hours(24));
  fail();
  deliver();
  clock_.advance(hours(24));
  outbox().good(kBackup);
  outbox().good(kBackup);
  deliver();
  EXPECT_THAT(slack_.arrived, ElementsAre("opened backup", "update backup", "recovered backup"));
  EXPECT_EQ(mail_.arrived, slack_.arrived);
  EXPECT_THAT(slack_.tickets, ElementsAre("", "ticket", "ticket"));
  clock_.advance(hours(13));
  outbox().tick();
  AlertState state = outbox().state();
  EXPECT_THAT(state.incidents, IsEmpty());
  EXPECT_THAT(state.sinks[0].tickets, IsEmpty());
}

TEST_F(OutboxTest, AMessageSaysWhereTheAuditTrailStoodWhenItWasMade) {
  std::optional<uint64_t> line = 5;
  int asked = 0;
  settings_.audit_head = [&]() -> std::optional<AuditHead> {
    ++asked;
    return line ? std::optional(sample_audit_head(*line)) : std::nullopt;
  };
  slack_.fails = down();
  fail();
  EXPECT_EQ(asked, 1);  // once for both sinks
  line = 6;             // the trail goes on, what was said stays
  fail();               // no news, no message: nobody asks
  deliver();
  EXPECT_EQ(asked, 1);
  EXPECT_THAT(mail_.heads, ElementsAre(5));
  slack_.fails.reset();
  clock_.advance(minutes(1));
  deliver();
  EXPECT_THAT(slack_.heads, ElementsAre(5));
  clock_.advance(hours(24));
  fail();
  line.reset();  // it cannot be read: the alert goes out all the same
  outbox().good(kBackup);
  deliver();
  EXPECT_THAT(mail_.arrived, ElementsAre("opened backup", "update backup", "recovered backup"));
  EXPECT_THAT(mail_.heads, ElementsAre(5, 6, 0));
  // It is no part of what the incident is.
  EXPECT_EQ(outbox().state().incidents.at(0).id,
            open_incident(kBackup, Severity::warning, {}, alert_time("02T02:00"), nullptr, {}).id);
}

TEST_F(OutboxTest, NewsOfRunsRemindersAndNewSinksSayItToo) {
  uint64_t line = 5;
  settings_.audit_head = [&] { return std::optional(sample_audit_head(line)); };
  mail_.of_runs = true;
  Outbox alone(settings_, {&mail_}, clock_);
  alone.run({MessageType::failed, "care", "", 3});
  alone.failed(kBackup, Severity::warning, {});
  line = 6;
  deliver();  // here slack is met, and told of what is open
  EXPECT_THAT(mail_.heads, ElementsAre(5));
  EXPECT_THAT(slack_.heads, ElementsAre(6));
  line = 7;
  clock_.advance(hours(26));
  outbox().tick();
  deliver();
  EXPECT_THAT(slack_.arrived, ElementsAre("opened backup", "update backup"));
  EXPECT_THAT(slack_.heads, ElementsAre(6, 7));
  test_alert_sinks({&slack_}, "care", clock_, seconds(5), sample_audit_head(9));
  EXPECT_EQ(slack_.heads.back(), 9u);
}

TEST_F(OutboxTest, ASinkThatIsDownHoldsUpNoOther) {
  slack_.fails = down();
  fail();
  fail(kPrune);
  DeliveryReport report = deliver();
  EXPECT_EQ(slack_.attempts, 1);  // one is enough to know
  EXPECT_THAT(mail_.arrived, ElementsAre("opened backup", "opened prune"));
  EXPECT_EQ(report.problems.size(), 1u);
  EXPECT_EQ(report.pending, 2u);
  deliver();
  EXPECT_EQ(slack_.attempts, 1);  // its back-off is not over
  slack_.fails.reset();
  clock_.advance(minutes(1));
  deliver();
  EXPECT_THAT(slack_.arrived, ElementsAre("opened backup", "opened prune"));
}

TEST_F(OutboxTest, TheWaitForASinkDoublesUpToAnHour) {
  slack_.fails = down();
  fail();
  std::vector<int> tried;
  for (int minute = 0; minute < 5 * 60; ++minute, clock_.advance(minutes(1))) {
    int before = slack_.attempts;
    deliver();
    if (slack_.attempts > before) tried.push_back(minute);
  }
  EXPECT_THAT(tried, ElementsAre(0, 1, 3, 7, 15, 31, 63, 123, 183, 243));
}

TEST_F(OutboxTest, ASinkIsLeftAloneForAsLongAsItAsks) {
  slack_.wait = minutes(30);
  fail();
  deliver();
  clock_.advance(minutes(29));
  deliver();
  EXPECT_EQ(slack_.attempts, 1);
  slack_.wait = hours(1000);  // more than is sensible
  clock_.advance(minutes(1));
  deliver();
  slack_.wait = {};
  clock_.advance(hours(6));
  deliver();
  EXPECT_THAT(slack_.arrived, ElementsAre("opened backup"));
}

TEST_F(OutboxTest, AHangingSinkEndsWithThePass) {
  slack_.takes = seconds(3600);
  fail();
  fail(kPrune);
  double before = clock_.monotonic_seconds();
  DeliveryReport report = deliver(seconds(30));
  EXPECT_EQ(slack_.attempts, 1);
  EXPECT_TRUE(report.out_of_time);
  EXPECT_LT(clock_.monotonic_seconds() - before, 3601);
  EXPECT_EQ(report.pending, 4u);
  slack_.takes = seconds(0);
  clock_.advance(minutes(2));
  deliver();
  EXPECT_THAT(mail_.arrived, ElementsAre("opened backup", "opened prune"));
}

TEST_F(OutboxTest, HealthySinksGoFirst) {
  slack_.fails = down();
  fail();
  deliver();
  clock_.advance(hours(1));
  slack_.fails.reset();
  slack_.takes = seconds(3600);
  fail(kPrune);
  deliver(seconds(30));
  EXPECT_THAT(mail_.arrived, ElementsAre("opened backup", "opened prune"));
}

TEST_F(OutboxTest, AMessageThatIsRefusedHoldsUpNoOther) {
  slack_.fails = Error(ErrorCode::invalid, "no such emoji");
  fail();
  deliver();
  EXPECT_EQ(slack_.attempts, 1);
  slack_.fails.reset();
  fail(kPrune);
  slack_.fails = Error(ErrorCode::invalid, "no such emoji");
  deliver();
  EXPECT_EQ(slack_.attempts, 3);  // the other incident was tried too
  for (int i = 0; i < 20; ++i) deliver();
  slack_.fails.reset();
  fail({IncidentKind::drill, "care", ""});
  deliver();
  EXPECT_THAT(slack_.arrived, ElementsAre("opened drill"));
  EXPECT_THAT(slack_.notes[0], HasSubstr("2 earlier messages"));
}

TEST_F(OutboxTest, QuietHoursDelayAndLoseNothing) {
  bool quiet = true;
  settings_.is_quiet = [&](UtcTime) { return quiet; };
  fail(kPrune);
  fail(kBackup, Severity::critical);
  deliver();
  EXPECT_THAT(slack_.arrived, ElementsAre("opened backup"));
  outbox().good(kPrune);
  deliver();
  EXPECT_EQ(slack_.arrived.size(), 1u);
  quiet = false;
  deliver();
  EXPECT_THAT(slack_.arrived, ElementsAre("opened backup", "opened prune", "recovered prune"));
}

TEST_F(OutboxTest, WhatBecomesCriticalIsNotDelayed) {
  settings_.is_quiet = [](UtcTime) { return true; };
  settings_.rules.escalate_after = {hours(4)};
  fail(kPrune);
  deliver();
  EXPECT_THAT(slack_.arrived, IsEmpty());
  clock_.advance(hours(4));
  deliver();  // time itself escalates; what waited goes along, in order
  EXPECT_THAT(slack_.arrived, ElementsAre("opened prune", "escalated prune"));
}

TEST_F(OutboxTest, WhatComesBackKeepsItsTicket) {
  fail();
  deliver();
  outbox().good(kBackup);
  deliver();
  clock_.advance(hours(1));
  fail();
  deliver();
  EXPECT_THAT(slack_.tickets, ElementsAre("", "ticket", "ticket"));
}

TEST_F(OutboxTest, ASinkThatIsDownForADayIsAnIncidentOfTheOthers) {
  slack_.fails = down();
  fail();
  for (int hour = 0; hour < 26; ++hour, clock_.advance(hours(1))) deliver();
  EXPECT_THAT(mail_.arrived, ::testing::Contains("opened alerts"));
  slack_.fails.reset();
  clock_.advance(hours(1));
  deliver();
  EXPECT_EQ(mail_.arrived.back(), "recovered alerts");
  EXPECT_THAT(slack_.arrived, Not(::testing::Contains("opened alerts")));
}

TEST_F(OutboxTest, ASinkThatRefusesEveryMessageForADayIsDownLikeAnyOther) {
  slack_.fails = Error(ErrorCode::invalid, "slack answered with status 400");
  fail();
  for (int hour = 0; hour < 30; ++hour, clock_.advance(hours(1))) {
    if (hour % 6 == 0) fail();
    deliver();
  }
  EXPECT_THAT(mail_.arrived, ::testing::Contains("opened alerts"));
  EXPECT_TRUE(outbox().state().sinks[0].down_since);
  slack_.fails.reset();
  fail(kPrune);
  deliver();
  EXPECT_EQ(mail_.arrived.back(), "recovered alerts");
  EXPECT_FALSE(outbox().state().sinks[0].down_since);
}

TEST_F(OutboxTest, WhatArrivesNotEverywhereIsSaidOnceAndRemembered) {
  mail_.problem = "the server refused dba@care.test (550); the other recipients have it";
  fail();
  DeliveryReport report = deliver();
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_EQ(report.problems[0].problem, mail_.problem);
  EXPECT_FALSE(report.problems[0].again);
  EXPECT_EQ(report.pending, 0u);
  fail(kPrune);
  EXPECT_THAT(deliver().problems, IsEmpty());
  EXPECT_EQ(outbox().state().sinks[1].problem, mail_.problem);
  mail_.problem.clear();
  outbox().good(kPrune);
  EXPECT_THAT(deliver().problems, IsEmpty());
  EXPECT_EQ(outbox().state().sinks[1].problem, "");
}

TEST_F(OutboxTest, WhatWasGoodBeforeAFailureEndsNothingThatARunTold) {
  IncidentKey drill{IncidentKind::drill, "care", ""};
  FailureFacts told;
  told.code = ErrorCode::corrupt;
  UtcTime before = clock_.now() - hours(1);
  outbox().failed(drill, Severity::critical, told);
  outbox().good(drill, before);
  EXPECT_FALSE(outbox().state().incidents[0].closed_at);
  clock_.advance(hours(2));
  outbox().good(drill, clock_.now() - hours(1));
  EXPECT_TRUE(outbox().state().incidents[0].closed_at);
  // What status opened, by looking, ends by what it sees.
  IncidentKey due{IncidentKind::drill, "other", ""};
  outbox().failed(due, Severity::warning, {});
  outbox().good(due, before);
  EXPECT_TRUE(outbox().state().incidents[1].closed_at);
}

TEST_F(OutboxTest, ANewSinkHearsOfWhatIsOpen) {
  fail();
  deliver();
  TestSink pager("pager", clock_);
  Outbox(settings_, {&slack_, &mail_, &pager}, clock_).deliver(seconds(60));
  EXPECT_THAT(pager.arrived, ElementsAre("opened backup"));
  EXPECT_EQ(slack_.arrived.size(), 1u);
}

TEST_F(OutboxTest, ASinkThatIsMissingForOneRunKeepsItsQueue) {
  fail();
  Outbox(settings_, {&mail_}, clock_).good(kBackup);
  deliver();
  EXPECT_THAT(slack_.arrived, ElementsAre("opened backup", "recovered backup"));
}

TEST_F(OutboxTest, NewsOfRunsGoToThoseWhoWantThem) {
  mail_.of_runs = true;
  outbox().run({MessageType::started, "care", "id", 0});
  outbox().run({MessageType::failed, "care", "id", 3});
  deliver();
  EXPECT_THAT(mail_.arrived, ElementsAre("failed backup"));
  EXPECT_THAT(slack_.arrived, IsEmpty());
}

TEST_F(OutboxTest, AHostWithoutAMemoryAsksSinksThatHaveOne) {
  slack_.with_memory = true;
  Outbox first = outbox();
  first.good(kBackup);
  first.good(kBackup);
  first.deliver(seconds(60));
  first.good(kBackup);
  first.deliver(seconds(60));
  EXPECT_THAT(slack_.arrived, ElementsAre("recovered backup"));
  EXPECT_THAT(mail_.arrived, IsEmpty());
  outbox().good(kBackup);  // and one that has its state does not ask again
  deliver();
  EXPECT_EQ(slack_.arrived.size(), 1u);
}

TEST_F(OutboxTest, ADamagedStateIsSetAsideAndSaid) {
  fail();
  std::string path = settings_.folder + "/incidents.json";
  std::string text = read_file(path, 1 << 20);
  write_file_atomic(path, text.substr(0, text.size() - 9));
  fail(kPrune);
  deliver();
  EXPECT_THAT(slack_.arrived, ElementsAre("opened prune"));
  EXPECT_THAT(slack_.notes[0], HasSubstr("damaged"));
  EXPECT_TRUE(file_exists(path + ".damaged"));
  fail({IncidentKind::drill, "", ""});
  deliver();
  EXPECT_EQ(slack_.notes[1], "");
}

TEST_F(OutboxTest, OneProcessDeliversAndTheOthersRecord) {
  fail();
  FileLock other(settings_.folder + "/delivery.lock", "it");
  fail(kPrune);
  DeliveryReport report = deliver();
  EXPECT_TRUE(report.busy_elsewhere);
  EXPECT_EQ(report.pending, 4u);
  EXPECT_EQ(slack_.attempts, 0);
}

TEST_F(OutboxTest, SecretsInNamesDoNotReachTheState) {
  FailureFacts facts;
  facts.backup = "password=s3cr3t";
  facts.host = "anna:s3cr3t@db";
  facts.run_url = "https://ci.test/7?token=s3cr3t";
  outbox().failed({IncidentKind::backup, "postgres://anna:s3cr3t@db/care", "s3cr3t:x@y"},
                  Severity::warning, facts);
  std::string text = read_file(settings_.folder + "/incidents.json", 1 << 20);
  EXPECT_THAT(text, Not(HasSubstr("s3cr3t")));
  EXPECT_THAT(text, HasSubstr("postgres://db/care"));
}

class KeptWarnings final : public Log {
 public:
  void line(LogLevel, std::string_view text) override { lines.emplace_back(text); }
  std::vector<std::string> lines;
};

TEST_F(OutboxTest, AlertsNeverFailTheirCommand) {
  KeptWarnings log;
  {
    Alerts none(settings_, {}, clock_, log);
    none.failed(kBackup, Severity::warning, {});
    none.deliver(seconds(1));
    EXPECT_THAT(log.lines, IsEmpty());
    EXPECT_FALSE(file_exists(settings_.folder));
  }
  write_file_atomic(settings_.folder, "a file is in the way");
  Alerts blocked(settings_, {&slack_}, clock_, log);
  blocked.failed(kBackup, Severity::warning, {});
  blocked.deliver(seconds(1));
  EXPECT_EQ(log.lines.size(), 1u);
  settings_.folder += "2";
  slack_.fails = down();
  Alerts alerts(settings_, {&slack_}, clock_, log);
  alerts.failed(kBackup, Severity::warning, {});
  alerts.deliver(seconds(10));
  EXPECT_THAT(log.lines.back(), HasSubstr("alert to slack: it is down; it is tried again"));
  EXPECT_EQ(test_alert_sinks({&slack_, &mail_}, "care", clock_, seconds(5))[0].problem,
            "it is down");
  EXPECT_EQ(test_alert_sinks({&slack_, &mail_}, "care", clock_, seconds(5))[1].problem, "");
  EXPECT_EQ(new_run_id().size(), 36u);
}

}  // namespace
}  // namespace holdfast
