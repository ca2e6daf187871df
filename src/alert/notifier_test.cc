#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "alert/curl_mail.h"
#include "alert/notifier_contract.h"
#include "base/expect_error.h"
#include "base/text.h"
#include "seal/hmac.h"

namespace holdfast {
namespace {

using std::chrono::seconds;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using Json = nlohmann::json;

class GithubBench final : public SinkBench {
 public:
  Notifier& sink() override { return sink_; }
  void set_mood(ServiceMood mood) override { service_.mood = mood; }
  int arrived() override { return static_cast<int>(service_.issues.size()); }
  std::string last_text() override { return service_.issues.back().body; }
  int requests() override { return static_cast<int>(service_.requests.size()); }

 private:
  FakeGithub service_;
  GithubNotifier sink_{{"https://api.test", "o/r", Secret(kBenchSecret)}, service_, clock};
};

class HttpBench final : public SinkBench {
 public:
  template <typename Make>
  explicit HttpBench(Make make) : sink_(make(service_, clock)) {}
  Notifier& sink() override { return *sink_; }
  void set_mood(ServiceMood mood) override {
    service_.mood = mood;
    if (mood == ServiceMood::good) bad_ = service_.requests.size();
  }
  int arrived() override {
    if (service_.mood != ServiceMood::good) bad_ = service_.requests.size();
    return static_cast<int>(service_.requests.size() - bad_);
  }
  std::string last_text() override { return service_.requests.back().body; }
  int requests() override { return static_cast<int>(service_.requests.size()); }

 private:
  FakeService service_;
  std::unique_ptr<Notifier> sink_;
  size_t bad_ = 0;  // requests that were not taken
};

std::string decoded_base64(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0, held = 0;
  for (char c : text) {
    size_t value = digits.find(c);
    if (value == std::string::npos) continue;
    held = held << 6 | static_cast<unsigned>(value);
    bits += 6;
    if (bits >= 8) out += static_cast<char>(held >> (bits -= 8) & 255);
  }
  return out;
}

std::string mail_body(const std::string& data) {
  return decoded_base64(data.substr(data.find("\r\n\r\n")));
}

class MailBench final : public SinkBench {
 public:
  Notifier& sink() override { return sink_; }
  void set_mood(ServiceMood mood) override { service_.mood = mood; }
  int arrived() override { return static_cast<int>(service_.sent.size()); }
  std::string last_text() override { return mail_body(service_.sent.back().data); }
  int requests() override { return static_cast<int>(service_.sent.size()); }
  bool can_ask_for_patience() override { return false; }

 private:
  FakeMail service_;
  MailNotifier sink_{{"holdfast@b.test", {"ops@b.test"}}, service_};
};

template <typename Sink>
std::unique_ptr<SinkBench> simple_bench(const std::string& host) {
  return std::make_unique<HttpBench>([&](FakeService& service, const Clock& clock) {
    Secret url("https://" + host + "/" + kBenchSecret);
    if constexpr (std::is_same_v<Sink, WebhookNotifier>)
      return std::make_unique<Sink>(url, Secret(kBenchSecret), service, clock);
    else
      return std::make_unique<Sink>(url, service, clock);
  });
}

INSTANTIATE_TEST_SUITE_P(
    EverySink, NotifierContract,
    ::testing::Values(
        SinkCase{"github", [] { return std::make_unique<GithubBench>(); }},
        SinkCase{"slack", [] { return simple_bench<SlackNotifier>("hooks.slack.com"); }},
        SinkCase{"webhook", [] { return simple_bench<WebhookNotifier>("hook.test"); }},
        SinkCase{"ping", [] { return simple_bench<PingNotifier>("hc-ping.com"); }},
        SinkCase{"mail", [] { return std::make_unique<MailBench>(); }}),
    [](const auto& one) { return one.param.name; });

class GithubTest : public ::testing::Test {
 protected:
  DeliveryReceipt deliver(MessageType type, const std::string& ticket = "", int attempt = 1) {
    AlertMessage message = sample_message(type);
    message.id += std::string(message_type_name(type));
    message.audit_head = sample_audit_head();
    DeliveryBudget budget(clock_, seconds(20));
    return sink_.deliver({message, ticket, attempt, "", budget});
  }
  ManualClock clock_{alert_time("28T03:00")};
  FakeGithub github_;
  GithubNotifier sink_{{"https://ghe.test/api/v3/", "o/r", Secret("ghp_x")}, github_, clock_};
};

TEST_F(GithubTest, OneIssueForAnIncidentFromItsBeginningToItsEnd) {
  std::string ticket = deliver(MessageType::opened).ticket;
  EXPECT_EQ(ticket, "1");
  deliver(MessageType::update, ticket);
  deliver(MessageType::escalated, ticket);
  deliver(MessageType::recovered, ticket);
  ASSERT_THAT(github_.issues, SizeIs(1));
  const FakeGithub::Issue& issue = github_.issues[0];
  EXPECT_EQ(issue.title, "🚨 Database Backup Failed: care in s3");
  std::string trail = "**Audit trail:** `" + audit_head_line(sample_audit_head()) + "`";
  EXPECT_THAT(issue.body, HasSubstr(trail));
  EXPECT_THAT(issue.comments, Each(HasSubstr(trail)));
  EXPECT_EQ(issue.state, "closed");
  EXPECT_EQ(issue.reason, "completed");
  EXPECT_THAT(issue.comments, ElementsAre(HasSubstr("Still"), HasSubstr("Escalated (step 1)"),
                                          HasSubstr("well again")));
  EXPECT_THAT(issue.body, HasSubstr("### Action Required\n- [ ] "));
  EXPECT_THAT(issue.body, HasSubstr("### HIPAA Compliance Note"));
  EXPECT_THAT(issue.body, HasSubstr("(https://github.com/o/r/actions/runs/7)"));
  Json created = Json::parse(github_.requests[1].body);
  EXPECT_EQ(created.at("labels"), Json({"bug", "critical", "compliance", "backup"}));
  EXPECT_EQ(github_.requests[1].url, "https://ghe.test/api/v3/repos/o/r/issues");
  EXPECT_EQ(github_.requests[1].header("authorization"), "Bearer ghp_x");
  EXPECT_EQ(github_.requests[1].header("x-github-api-version"), "2022-11-28");
  EXPECT_LE(github_.requests[1].total_timeout_ms, 20'000);
  EXPECT_GT(github_.requests[1].total_timeout_ms, 0);
}

TEST_F(GithubTest, AnIssueWhoseAnswerWasLostIsFoundAgain) {
  github_.mood = ServiceMood::lost;
  EXPECT_ERROR(unavailable, deliver(MessageType::opened));  // at the list
  github_.mood = ServiceMood::good;
  deliver(MessageType::opened, "", 2);
  EXPECT_EQ(deliver(MessageType::opened, "", 3).ticket, "1");  // its number was never recorded
  EXPECT_THAT(github_.issues, SizeIs(1));
  EXPECT_THAT(github_.issues[0].comments, SizeIs(0));
}

TEST_F(GithubTest, ACommentWhoseAnswerWasLostIsNotMadeTwice) {
  std::string ticket = deliver(MessageType::opened).ticket;
  deliver(MessageType::update, ticket);
  deliver(MessageType::update, ticket, 2);
  EXPECT_THAT(github_.issues[0].comments, SizeIs(1));
  deliver(MessageType::recovered, ticket);
  github_.issues[0].state = "open";  // the comment arrived, the closing did not
  deliver(MessageType::recovered, ticket, 2);
  EXPECT_THAT(github_.issues[0].comments, SizeIs(2));
  EXPECT_EQ(github_.issues[0].state, "closed");
}

TEST_F(GithubTest, AnIssueThatSomebodyClosedTooEarlyIsReopened) {
  std::string ticket = deliver(MessageType::opened).ticket;
  github_.issues[0].state = "closed";
  deliver(MessageType::update, ticket);
  EXPECT_EQ(github_.issues[0].state, "open");
  EXPECT_EQ(github_.issues[0].reason, "reopened");
  github_.issues[0].state = "closed";
  deliver(MessageType::recovered, ticket);  // closed already: only the note is added
  EXPECT_EQ(github_.issues[0].reason, "reopened");
  EXPECT_THAT(github_.issues[0].comments, SizeIs(2));
}

TEST_F(GithubTest, AnIssueThatIsGoneIsMadeAgain) {
  EXPECT_EQ(deliver(MessageType::update, "17").ticket, "1");
  EXPECT_THAT(github_.issues[0].body, HasSubstr("Action Required"));
}

TEST_F(GithubTest, TheRightIssueIsFoundOnAnyPage) {
  github_.per_page = 2;
  std::string marker = incident_marker(incident_key_id(sample_message().incident.key));
  github_.issues.push_back({"other", "x", "open", "", {}, false});
  github_.issues.push_back({"closed", marker, "closed", "", {}, false});
  github_.issues.push_back({"a pull request", marker, "open", "", {}, true});
  github_.issues.push_back({"other", "y", "open", "", {}, false});
  github_.issues.push_back({"ours", "z " + marker, "open", "", {}, false});
  EXPECT_EQ(deliver(MessageType::opened).ticket, "5");
  EXPECT_THAT(github_.issues[4].comments, SizeIs(1));
  deliver(MessageType::recovered);
  EXPECT_EQ(github_.issues[4].state, "closed");
}

TEST_F(GithubTest, ARecoveryOfNothingDoesNothing) {
  EXPECT_EQ(deliver(MessageType::recovered).ticket, "");
  EXPECT_THAT(github_.issues, SizeIs(0));
}

TEST_F(GithubTest, RateLimitsAreWaits) {
  github_.mood = ServiceMood::patience;
  github_.patience_headers = {
      {"x-ratelimit-remaining", "0"},
      {"x-ratelimit-reset",
       fmt::format("{}",
                   std::chrono::floor<seconds>(clock_.now()).time_since_epoch().count() + 1800)}};
  EXPECT_EQ(deliver(MessageType::opened).wait, seconds(1800));
  github_.patience_headers = {};
  EXPECT_EQ(deliver(MessageType::opened).wait, seconds(60));
  github_.patience_headers = {{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "soon"}};
  EXPECT_EQ(deliver(MessageType::opened).wait, seconds(60));
}

TEST_F(GithubTest, NamesMentionNobodyAndBreakNoMarkup) {
  AlertMessage message = sample_message();
  message.incident.key.source = "@org/team `x` --> ";
  DeliveryBudget budget(clock_, seconds(20));
  sink_.deliver({message, "", 1, "", budget});
  EXPECT_THAT(github_.issues[0].body, HasSubstr("**Source:** `@org/team 'x' --> `"));
}

TEST_F(GithubTest, SettingsThatCannotBeRightAreRefused) {
  for (const char* repository : {"", "o", "/r", "o/", "o/r/x", "o/../x", "o/r?x"})
    EXPECT_ERROR(invalid,
                 GithubNotifier({"https://api.test", repository, Secret("t")}, github_, clock_));
  EXPECT_ERROR(invalid, GithubNotifier({"http://api.test", "o/r", Secret("t")}, github_, clock_));
  EXPECT_ERROR(invalid, GithubNotifier({"https://api.test", "o/r", Secret("")}, github_, clock_));
  EXPECT_ERROR(invalid,
               GithubNotifier({"https://api.test", "o/r", Secret("a\nb")}, github_, clock_));
}

TEST(WireJson, LinksToTheNextPageAreRead) {
  EXPECT_EQ(next_github_page("<https://a/x?page=2&per_page=5>; rel=\"next\", <https://a?page=9>; "
                             "rel=\"last\""),
            2);
  EXPECT_EQ(next_github_page("<https://a/x?per_page=5&page=31>; rel=\"next\""), 31);
  for (const char* none :
       {"", "<https://a?page=1>; rel=\"prev\"", "<https://a?page=x>; rel=\"next\"",
        "<https://a?page=-2>; rel=\"next\"", "<https://a?per_page=2>; rel=\"next\""})
    EXPECT_EQ(next_github_page(none), std::nullopt) << none;
}

TEST(WireJson, AnswersThatAreNoneAreErrors) {
  for (const char* wrong : {"", "<html>", "{}", "[{}]", "[1]", R"([{"number":-1}])"})
    EXPECT_ERROR(unavailable, read_github_issues(wrong));
  EXPECT_ERROR(unavailable, read_github_issues(std::string(100, '[') + std::string(100, ']')));
  EXPECT_ERROR(unavailable, read_github_comments("[7]"));
}

TEST(Slack, TextIsEscapedAndBounded) {
  AlertMessage message = sample_message();
  message.incident.key.source = "<!channel> & <b>" + std::string(200, 'x');
  Json json = Json::parse(slack_json(message, "a note"));
  std::string text = json.dump();
  EXPECT_THAT(text, Not(HasSubstr("<!channel>")));
  EXPECT_THAT(text, HasSubstr("&lt;!channel&gt; &amp; &lt;b&gt;"));
  EXPECT_EQ(json.at("blocks")[0].at("type"), "header");
  EXPECT_LE(json.at("blocks")[0].at("text").at("text").get<std::string>().size(), 153u);
  EXPECT_LE(json.at("blocks")[2].at("fields").size(), 10u);
  EXPECT_THAT(text, HasSubstr("HIPAA Compliance Alert"));
  EXPECT_THAT(text, HasSubstr("\"View Logs\""));
}

TEST(Slack, TheAuditTrailIsSaidHoweverManyFactsThereAre) {
  AlertMessage message = sample_message();
  FailureFacts& facts = message.incident.facts;
  facts.measured_seconds = facts.measured_bytes = facts.problems = 7;
  message.incident.failures = 3;
  ASSERT_GT(alert_facts(message).size(), 10u);
  message.audit_head = sample_audit_head();
  Json json = Json::parse(slack_json(message, "a note"));
  EXPECT_EQ(json.at("blocks")[2].at("fields").size(), 10u);
  EXPECT_THAT(json.dump(),
              HasSubstr("Audit trail: `" + audit_head_line(sample_audit_head()) + "`"));
}

TEST(Webhook, TheAuditTrailIsAnObject) {
  AlertMessage message = sample_message();
  EXPECT_TRUE(Json::parse(webhook_json(message, "")).at("audit_head").is_null());
  message.audit_head = sample_audit_head();
  EXPECT_EQ(Json::parse(webhook_json(message, "")).at("audit_head"),
            Json({{"log", std::string(32, '5')},
                  {"seq", 812},
                  {"hash", std::string(64, '9')},
                  {"time", "2026-11-28T02:04:00.000Z"},
                  {"line", audit_head_line(sample_audit_head())}}));
}

TEST(Webhook, NewsOfARunAreOfNoIncident) {
  AlertMessage message;
  message.type = MessageType::succeeded;
  message.incident.facts.host = "db1";
  auto json = Json::parse(webhook_json(message, ""));
  for (const char* member : {"id", "key", "severity", "opened_at", "last_failure_at"})
    EXPECT_TRUE(json["incident"][member].is_null()) << member;
  EXPECT_EQ(json["incident"]["host"], "db1");
  EXPECT_TRUE(json["checklist"].empty());
  message.type = MessageType::failed;
  EXPECT_FALSE(Json::parse(webhook_json(message, ""))["checklist"].empty());
}

TEST(Webhook, TheSignatureIsOverTimeAndBody) {
  FakeService service;
  ManualClock clock(parse_rfc3339("2026-11-28T03:00:00.000Z"));
  WebhookNotifier sink(Secret("https://hook.test/x?y=1"), Secret("key"), service, clock);
  AlertMessage message = sample_message();
  DeliveryBudget budget(clock, seconds(20));
  sink.deliver({message, "", 1, "", budget});
  const FakeService::Request& request = service.requests.at(0);
  EXPECT_EQ(request.header("x-holdfast-timestamp"), "1795834800");
  EXPECT_EQ(request.header("x-holdfast-delivery"), message.id);
  EXPECT_EQ(request.header("x-holdfast-signature"),
            "v1=" + to_hex(hmac_sha256(as_bytes("key"), "1795834800." + request.body)));
  Json body = Json::parse(request.body);
  EXPECT_EQ(body.at("incident").at("kind"), "backup");
  EXPECT_EQ(body.at("incident").at("error"), "unavailable");
}

TEST(Ping, AddressesAreThoseOfTheService) {
  FakeService service;
  ManualClock clock(alert_time("28T03:00"));
  PingNotifier sink(Secret("https://hc-ping.com/uuid?create=1"), service, clock);
  DeliveryBudget budget(clock, seconds(20));
  AlertMessage failed = sample_message(MessageType::failed);
  for (MessageType type : {MessageType::started, MessageType::succeeded})
    sink.deliver({sample_message(type), "", 1, "", budget});
  sink.deliver({failed, "", 1, "", budget});
  failed.exit_code = 4711;
  failed.run_id = "no uuid";
  sink.deliver({failed, "", 1, "", budget});
  std::vector<std::string> urls;
  for (const auto& request : service.requests) urls.push_back(request.url);
  const std::string rid = "?create=1&rid=0b50cfbc-5a4f-4b53-8e0b-2b61b7c0f1a1";
  EXPECT_THAT(
      urls,
      ElementsAre("https://hc-ping.com/uuid/start" + rid, "https://hc-ping.com/uuid" + rid,
                  "https://hc-ping.com/uuid/3" + rid, "https://hc-ping.com/uuid/fail?create=1"));
  EXPECT_EQ(service.requests[2].body, "A run has failed with exit code 3.");
}

TEST(Mail, HeadersCannotBeInjectedAndSubjectsAreEncoded) {
  AlertMessage message = sample_message();
  message.incident.key.source = "care\r\nBcc: evil@x.test\r\n\r\n<b>";
  std::string data = compose_mail(message, "", "holdfast@b.test", {"a@b.test", "c@d.test"});
  std::string headers = data.substr(0, data.find("\r\n\r\n"));
  EXPECT_THAT(headers, Not(HasSubstr("\r\nBcc")));
  EXPECT_THAT(headers, HasSubstr("Subject: =?UTF-8?B?"));
  EXPECT_THAT(headers, HasSubstr("To: a@b.test,\r\n c@d.test\r\n"));
  for (const std::string& line : split(data, '\n')) EXPECT_LE(line.size(), 200u);
  EXPECT_THAT(mail_body(data), HasSubstr("Action required:"));
  for (const char* wrong :
       {"", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "<a@b>", "a@b,c@d", "ä@b.test"})
    EXPECT_ERROR(invalid, check_mail_address(wrong, "mail_to"));
}

TEST(Mail, EncodedWordsHoldWholeCharacters) {
  EXPECT_EQ(mail_header("plain"), "plain");
  EXPECT_EQ(mail_header("🚨"), "=?UTF-8?B?8J+aqA==?=");
  std::string text;
  for (int i = 0; i < 60; ++i) text += i % 2 ? "🚨" : "é";
  std::string coded = mail_header(text), back;
  size_t at = 0;
  while ((at = coded.find("=?UTF-8?B?", at)) != std::string::npos) {
    size_t end = coded.find("?=", at);
    EXPECT_LE(end + 2 - at, 75u);
    std::string word = decoded_base64(coded.substr(at + 10, end - at - 10));
    EXPECT_EQ(printable(word), word);  // no character is cut
    back += word;
    at = end;
  }
  EXPECT_EQ(back, text);
}

TEST(Mail, ARecipientThatIsRefusedIsSaidAndTheOthersHaveIt) {
  FakeMail mail;
  mail.refused = {"c@d.test (550)"};
  MailNotifier sink({"h@b.test", {"a@b.test", "c@d.test"}}, mail);
  ManualClock clock(alert_time("28T02:05"));
  DeliveryBudget budget(clock, std::chrono::seconds(5));
  AlertMessage message = sample_message();
  EXPECT_THAT(sink.deliver({message, "", 1, "", budget}).problem,
              HasSubstr("refused c@d.test (550); the other recipients have it"));
  EXPECT_ERROR(denied, sink.test(message, budget));
  mail.refused.clear();
  EXPECT_EQ(sink.deliver({message, "", 1, "", budget}).problem, "");
}

TEST(Mail, UpdatesThread) {
  AlertMessage opened = sample_message(), update = sample_message(MessageType::update);
  update.id = update.incident.id + "-2";
  std::string first = compose_mail(opened, "", "h@b.test", {"a@b.test"});
  std::string second = compose_mail(update, "", "h@b.test", {"a@b.test"});
  std::string id = "<holdfast-" + opened.incident.id + "@b.test>";
  EXPECT_THAT(first, HasSubstr("\r\nMessage-ID: " + id + "\r\n"));
  EXPECT_THAT(first, Not(HasSubstr("References")));
  EXPECT_THAT(second, HasSubstr("\r\nReferences: " + id + "\r\n"));
  EXPECT_THAT(second, HasSubstr("\r\nMessage-ID: <holdfast-" + update.id + "@b.test>\r\n"));
  EXPECT_THAT(first, HasSubstr("Date: Sat, 28 Nov 2026 02:05:00 +0000\r\n"));
}

TEST(Smtp, AddressesAreReadAndNeverRepeated) {
  SmtpSettings found = parse_smtp_url(Secret("smtp://anna:p%40ss@mail.test:2525"));
  EXPECT_EQ(found.host, "mail.test");
  EXPECT_EQ(found.port, 2525);
  EXPECT_EQ(found.login, "anna");
  EXPECT_EQ(found.password.reveal(), "p@ss");
  EXPECT_TRUE(found.tls_required);
  EXPECT_EQ(parse_smtp_url(Secret("smtps://mail.test/")).port, 465);
  EXPECT_TRUE(parse_smtp_url(Secret("smtps://mail.test")).tls_from_start);
  EXPECT_EQ(parse_smtp_url(Secret("smtp://mail.test")).port, 587);
  EXPECT_FALSE(parse_smtp_url(Secret("smtp://127.0.0.1:25")).tls_required);
  EXPECT_FALSE(parse_smtp_url(Secret("smtp://[::1]:25")).tls_required);
  for (const char* wrong :
       {"s3cr3t", "http://s3cr3t", "smtp://", "smtp://a:s3cr3t@", "smtp://h:x", "smtp://h:0",
        "smtp://h:70000", "smtp://s3cr3t%0A@h", "smtp://h/s3cr3t"})
    try {
      parse_smtp_url(Secret(wrong));
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid);
      EXPECT_THAT(error.in_one_line(), Not(HasSubstr("s3cr3t")));
    }
}

TEST(AlertText, EveryKindHasATitleAndSteps) {
  for (int kind = 0; kind <= static_cast<int>(IncidentKind::test); ++kind) {
    AlertMessage message = sample_message();
    message.incident.key.kind = static_cast<IncidentKind>(kind);
    EXPECT_THAT(alert_title(message), Not(HasSubstr("Database Backup Alert")));
    EXPECT_FALSE(alert_checklist(message.incident).empty());
  }
}

TEST(AlertText, MissedRunsAreSaidOfTheirJobWithHowManyAndWhen) {
  AlertMessage message = sample_message();
  Incident& incident = message.incident;
  incident.key = {IncidentKind::missed_run, "care", "backup"};
  incident.facts = {};
  incident.facts.problems = 4;
  incident.facts.first_missed_at = parse_rfc3339("2026-11-20T02:00:00.000Z");
  incident.facts.last_missed_at = parse_rfc3339("2026-11-23T02:00:00.000Z");
  EXPECT_EQ(alert_title(message), "🚨 Database Backup Missed: care");
  EXPECT_EQ(alert_sentence(message),
            "4 runs were missed, from 2026-11-20T02:00:00.000Z to 2026-11-23T02:00:00.000Z.");
  message.type = MessageType::recovered;
  EXPECT_EQ(alert_sentence(message).substr(0, 35), "It runs again. 4 runs were missed, ");
  incident.key.store = "anchor";
  message.type = MessageType::opened;
  EXPECT_EQ(alert_title(message), "🚨 Scheduled Run Missed: anchor of care");
  EXPECT_EQ(alert_compliance(incident), "");
  incident.key.kind = IncidentKind::job;
  EXPECT_EQ(alert_title(message), "🚨 Scheduled Job Failed: anchor of care");
}

TEST(AlertText, ADrillThatIsDueHasNotFailed) {
  AlertMessage message = sample_message();
  message.incident.key.kind = IncidentKind::drill;
  EXPECT_THAT(alert_title(message), HasSubstr("Recovery Drill Failed"));
  message.incident.severity = Severity::warning;
  message.incident.facts.code.reset();
  message.incident.facts.target_seconds = 3600;
  EXPECT_THAT(alert_title(message), HasSubstr("Recovery Drill Overdue"));
  EXPECT_EQ(alert_sentence(message), "No drill has passed in time.");
}

TEST(AlertText, ARecoverySaysHowLongAndHowOften) {
  AlertMessage message = sample_message(MessageType::recovered);
  message.incident.failures = 3;
  message.incident.good_since = message.incident.opened_at + std::chrono::hours(49);
  EXPECT_EQ(alert_sentence(message), "It is well again after 49 h 00 min and 3 failures.");
}

}  // namespace
}  // namespace holdfast
