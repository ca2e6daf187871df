#include "alert/alert_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "alert/alert_fakes.h"
#include "alert/alert_settings.h"
#include "alert/redact.h"
#include "base/expect_error.h"
#include "seal/document.h"

namespace holdfast {
namespace {

using std::chrono::hours;
using ::testing::HasSubstr;
using ::testing::Not;

AlertState sample_state() {
  AlertState state;
  state.next_sequence = 7;
  Incident incident = sample_message().incident;
  state.incidents.push_back(incident);
  incident.key.kind = IncidentKind::rpo;
  incident.facts.measured_seconds = 90'000;
  incident.facts.target_seconds = 86'400;
  incident.facts.exit_code = -9;
  incident.good_since = incident.closed_at = alert_time("28T03:00");
  state.incidents.push_back(incident);
  AlertSinkState& sink = state.sinks.emplace_back();
  sink.name = "github";
  sink.failed_attempts = 3;
  sink.next_attempt_at = alert_time("28T03:05");
  sink.down_since = alert_time("28T01:05");
  sink.given_up = 2;
  sink.given_up_since = alert_time("25T01:05");
  sink.state_lost = true;
  sink.tickets["0123456789abcdef"] = "4711";
  enqueue(state, sink, sample_message());
  AlertMessage failed = sample_message(MessageType::failed);
  failed.audit_head = sample_audit_head();
  enqueue(state, sink, failed);
  return state;
}

std::vector<MessageType> types(const AlertSinkState& sink) {
  std::vector<MessageType> found;
  for (const PendingMessage& one : sink.pending) found.push_back(one.message.type);
  return found;
}

TEST(AlertStateFile, WhatIsWrittenReadsBack) {
  AlertState state = sample_state();
  EXPECT_TRUE(read_alert_state(write_alert_state(state)) == state);
  EXPECT_TRUE(read_alert_state(write_alert_state({})) == AlertState{});
}

TEST(AlertStateFile, AnyChangedByteIsFound) {
  std::string text = write_alert_state(sample_state());
  for (size_t at = 0; at < text.size(); at += 7) {
    std::string damaged = text;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    EXPECT_ERROR(corrupt, read_alert_state(damaged));
  }
  EXPECT_ERROR(corrupt, read_alert_state(text.substr(0, text.size() / 2)));
  EXPECT_ERROR(corrupt, read_alert_state(""));
}

TEST(AlertStateFile, AnAuditHeadThatIsNoneIsDamage) {
  std::string text = write_alert_state(sample_state());
  std::string body = text.substr(0, text.rfind(",\n  \"state_sha256\""));
  EXPECT_TRUE(read_alert_state(seal_document(body, "state_sha256")) == sample_state());
  for (const char* wrong : {"postgres://anna:s3cr3t@db.test", "\\u0000", "<!channel>"}) {
    std::string other = body;
    other.replace(other.find("holdfast audit log"), 18, wrong);
    EXPECT_ERROR(corrupt, read_alert_state(seal_document(other, "state_sha256")));
  }
}

TEST(AlertStateFile, ALaterVersionIsLeftAlone) {
  std::string body = R"({"format": "holdfast-incidents", "version": 2)";
  EXPECT_ERROR(unsupported, read_alert_state(seal_document(body, "state_sha256")));
}

TEST(AlertQueue, ANewerUpdateReplacesTheOlderOne) {
  AlertState state;
  AlertSinkState sink;
  enqueue(state, sink, sample_message());
  sink.pending[0].attempts = 1;
  AlertMessage update = sample_message(MessageType::update);
  enqueue(state, sink, update);
  update.incident.failures = 9;
  enqueue(state, sink, update);
  EXPECT_EQ(types(sink), (std::vector{MessageType::opened, MessageType::update}));
  EXPECT_EQ(sink.pending[1].message.incident.failures, 9);
  AlertMessage other = sample_message(MessageType::update);
  other.incident.id = "another";
  enqueue(state, sink, other);
  EXPECT_EQ(sink.pending.size(), 3u);
  EXPECT_NE(sink.pending[1].message.id, sink.pending[2].message.id);
}

TEST(AlertQueue, WhoeverHeardNothingYetHearsItAllAtOnce) {
  AlertState state;
  AlertSinkState sink;
  enqueue(state, sink, sample_message());
  AlertMessage update = sample_message(MessageType::update);
  update.incident.failures = 9;
  update.audit_head = sample_audit_head();
  enqueue(state, sink, update);
  EXPECT_EQ(types(sink), std::vector{MessageType::opened});
  EXPECT_EQ(sink.pending[0].message.incident.failures, 9);
  EXPECT_EQ(sink.pending[0].message.audit_head, sample_audit_head());
  update.audit_head.reset();  // the trail could not be read this time: the earlier head stays true
  enqueue(state, sink, update);
  EXPECT_EQ(sink.pending[0].message.audit_head, sample_audit_head());
  EXPECT_THAT(alert_sentence(sink.pending[0].message), HasSubstr("9 failures"));
}

TEST(AlertQueue, OnlyTheLatestNewsOfARunWaits) {
  AlertState state;
  AlertSinkState sink;
  enqueue(state, sink, sample_message(MessageType::started));
  enqueue(state, sink, sample_message(MessageType::succeeded));
  EXPECT_EQ(types(sink), std::vector{MessageType::succeeded});
  state.sinks.push_back(sink);
  give_up_old(state, sample_message().at + hours(5));
  EXPECT_EQ(state.sinks[0].pending.size(), 1u);
  give_up_old(state, sample_message().at + hours(6));  // its silence is the alarm
  EXPECT_EQ(state.sinks[0].pending.size(), 0u);
  EXPECT_EQ(note_of(state.sinks[0]), "");
}

TEST(AlertQueue, WhatNobodyCouldBeToldIsCountedAndSaid) {
  AlertState state;
  state.sinks.emplace_back();
  enqueue(state, state.sinks[0], sample_message());
  state.sinks[0].pending[0].attempts = 5;
  enqueue(state, state.sinks[0], sample_message(MessageType::recovered));
  UtcTime at = sample_message().at;
  give_up_old(state, at + hours(71));
  EXPECT_EQ(state.sinks[0].pending.size(), 2u);
  give_up_old(state, at + hours(72));
  EXPECT_EQ(state.sinks[0].pending.size(), 0u);
  EXPECT_EQ(note_of(state.sinks[0]),
            "2 earlier messages since 2026-11-28T02:05:00.000Z could not be delivered here.");
}

TEST(AlertQueue, TheBeginningOfWhatStillLastsIsNeverGivenUp) {
  AlertState state;
  state.incidents.push_back(sample_message().incident);
  state.sinks.emplace_back();
  enqueue(state, state.sinks[0], sample_message());
  give_up_old(state, sample_message().at + hours(24 * 300));
  EXPECT_EQ(state.sinks[0].pending.size(), 1u);
}

TEST(AlertQueue, AFullOneKeepsBeginningsAndEnds) {
  AlertState state;
  AlertSinkState sink;
  for (size_t i = 0; i < kPendingMax + 10; ++i) {
    AlertMessage message =
        sample_message(i % 2 == 0 ? MessageType::recovered : MessageType::update);
    message.incident.id = fmt::format("{}", i);
    enqueue(state, sink, message);
  }
  EXPECT_EQ(sink.pending.size(), kPendingMax);
  EXPECT_EQ(sink.given_up, 10);
  EXPECT_EQ(sink.pending[0].message.incident.id, "0");
  EXPECT_EQ(sink.pending[1].message.incident.id, "2");
}

TEST(Redact, NamesCannotHoldSecrets) {
  EXPECT_EQ(safe_name("care commons"), "care commons");
  EXPECT_EQ(safe_name("Grüße-ω"), "Grüße-ω");
  EXPECT_EQ(safe_name("a\r\nBcc: x"), "a  Bcc: x");
  EXPECT_EQ(safe_name("postgres://anna:s3cr3t@db.test/care?sslpassword=x"),
            "postgres://db.test/care");
  EXPECT_EQ(safe_name("s3://bucket/prefix"), "s3://bucket/prefix");
  for (const char* secret :
       {"host=db password=s3cr3t", "anna:s3cr3t@db.test/care", "ghp_s3cr3t", "Bearer s3cr3t",
        "postgres://anna:s3c/r3t@db.test", "napi_s3cr3t", "PGPASSWORD=s3cr3t",
        "https://hooks.slack.com/services/T/B/s3cr3t", "-----BEGIN PRIVATE KEY-----"})
    EXPECT_THAT(safe_name(secret), Not(HasSubstr("3cr3t"))) << secret;
  EXPECT_LE(safe_name(std::string(5000, 'x')).size(), 120u);
}

TEST(Redact, AddressesAreBare) {
  EXPECT_EQ(safe_url("https://github.com/o/r/actions/runs/7?token=s3cr3t#x"),
            "https://github.com/o/r/actions/runs/7");
  EXPECT_EQ(safe_url("https://anna:s3cr3t@ci.test/7"), "https://ci.test/7");
  for (const char* none : {"javascript:alert(1)", "https://ci.test/)[x](y", "https://a b",
                           "file:///x", "https://a:b/c@d/"})
    EXPECT_EQ(safe_url(none), "") << none;
}

TEST(AlertSettings, EscalationIsARisingList) {
  using std::chrono::minutes;
  EXPECT_EQ(parse_escalation("90m, 4h,2d"),
            (std::vector<minutes>{minutes(90), minutes(240), minutes(2880)}));
  EXPECT_TRUE(parse_escalation(" ").empty());
  for (const char* wrong : {"4", "h", "-4h", "0h", "4h,4h", "4h,1h", "4 h", "9999999999h", "4w"})
    EXPECT_ERROR(invalid, parse_escalation(wrong));
}

TEST(AlertSettings, QuietHoursMayGoOverMidnight) {
  auto night = parse_quiet_hours("22:00-06:30");
  EXPECT_TRUE(night(alert_time("28T22:00")));
  EXPECT_TRUE(night(alert_time("28T00:00")));
  EXPECT_TRUE(night(alert_time("28T06:29")));
  EXPECT_FALSE(night(alert_time("28T06:30")));
  EXPECT_FALSE(night(alert_time("28T21:59")));
  auto noon = parse_quiet_hours("12:00 - 13:00");
  EXPECT_TRUE(noon(alert_time("28T12:59")));
  EXPECT_FALSE(noon(alert_time("28T13:00")));
  EXPECT_FALSE(parse_quiet_hours(""));
  for (const char* wrong : {"22-6", "22:00", "24:00-01:00", "22:00-22:00", "a", "22:60-23:00"})
    EXPECT_ERROR(invalid, parse_quiet_hours(wrong));
}

TEST(AlertSettings, HalfASinkIsAMistake) {
  FakeService http;
  SystemClock clock;
  AlertSettings settings;
  EXPECT_TRUE(make_alert_sinks(settings, http, clock).sinks.empty());
  settings.github_repository = "o/r";
  EXPECT_ERROR_SAYING(invalid, "github_token_file", make_alert_sinks(settings, http, clock));
  settings.github_token = Secret("ghp_x");
  settings.slack_webhook = Secret("https://hooks.slack.com/services/x");
  settings.webhook_url = Secret("http://127.0.0.1:8000/hook");
  settings.ping_url = Secret("https://hc-ping.com/uuid");
  settings.smtp_url = Secret("smtp://mail.test");
  EXPECT_ERROR_SAYING(invalid, "mail_to", make_alert_sinks(settings, http, clock));
  settings.mail_to = "a@b.test, c@d.test";
  settings.mail_from = "holdfast@b.test";
  AlertSinks sinks = make_alert_sinks(settings, http, clock);
  std::string names;
  for (Notifier* sink : sinks.pointers()) names += sink->name() + " ";
  EXPECT_EQ(names, "github slack webhook mail ping ");
  settings.webhook_url = Secret("http://hook.test/s3cr3t");
  EXPECT_ERROR_SAYING(invalid, "not encrypted", make_alert_sinks(settings, http, clock));
}

}  // namespace
}  // namespace holdfast
