// Alerts on a command line, for tests: what a command of holdfast will do with them.
//
//   alert_tool fail KIND SOURCE STORE [warning|critical]   records a failure
//   alert_tool good KIND SOURCE STORE
//   alert_tool run started|succeeded|failed SOURCE RUN_ID [EXIT_CODE]
//   alert_tool deliver [SECONDS]      one pass; prints `delivered N pending N`, problems on stderr
//   alert_tool test SOURCE            to every sink; prints `name ok` or `name failed`
//   alert_tool month                  a month of nights by a clock of its own, see below
//
// Where: --folder DIR, the settings of docs/alerts.md in capitals from the environment
// (GITHUB_REPOSITORY, GITHUB_API_URL, GITHUB_TOKEN, SLACK_WEBHOOK, WEBHOOK_URL, WEBHOOK_SECRET,
// SMTP_URL, SMTP_PASSWORD, SMTP_CA_FILE, MAIL_TO, MAIL_FROM, PING_URL, ESCALATE_AFTER,
// QUIET_HOURS), and --now TIME for a clock that stands still. Exit codes are those of holdfast.
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "alert/alert_settings.h"
#include "alert/alerts.h"

namespace holdfast {
namespace {

struct Arguments {
  std::vector<std::string> words;
  std::map<std::string, std::string> options;
  const std::string& word(size_t i) const {
    if (i >= words.size()) throw Error(ErrorCode::invalid, "an argument is missing");
    return words[i];
  }
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

AlertSettings settings_of_environment() {
  AlertSettings settings;
  settings.github_repository = variable("GITHUB_REPOSITORY");
  settings.github_api_url = variable("GITHUB_API_URL");
  settings.github_token = Secret(variable("GITHUB_TOKEN"));
  settings.slack_webhook = Secret(variable("SLACK_WEBHOOK"));
  settings.webhook_url = Secret(variable("WEBHOOK_URL"));
  settings.webhook_secret = Secret(variable("WEBHOOK_SECRET"));
  settings.smtp_url = Secret(variable("SMTP_URL"));
  settings.smtp_password = Secret(variable("SMTP_PASSWORD"));
  settings.smtp_ca_file = variable("SMTP_CA_FILE");
  settings.mail_to = variable("MAIL_TO");
  settings.mail_from = variable("MAIL_FROM");
  settings.ping_url = Secret(variable("PING_URL"));
  settings.escalate_after = variable("ESCALATE_AFTER");
  settings.quiet_hours = variable("QUIET_HOURS");
  return settings;
}

FailureFacts sample_facts() {
  FailureFacts facts;
  facts.code = ErrorCode::unavailable;
  facts.backup = "care_2026-11-28T02-00-00-123Z";
  facts.exit_code = 1;
  facts.host = variable("ALERT_HOST");
  facts.run_url = variable("ALERT_RUN_URL");
  return facts;
}

int report(const DeliveryReport& done) {
  for (const SinkProblem& problem : done.problems)
    fmt::print(stderr, "{}: {}\n", problem.sink, problem.problem);
  fmt::print("delivered {} pending {}{}\n", done.delivered, done.pending,
             done.busy_elsewhere ? " busy"
             : done.out_of_time  ? " out of time"
                                 : "");
  return kExitDone;
}

// 30 nights: backups fail from the 5th to the 9th, on every night of the 3rd week WAL lags for a
// while each hour, a run is missed on the 25th. Between, every hour something is delivered.
int month(Outbox& outbox, ManualClock& clock) {
  using std::chrono::hours;
  IncidentKey backup{IncidentKind::backup, "care", "s3"}, lag{IncidentKind::wal_lag, "care", ""},
      missed{IncidentKind::missed_run, "care", ""};
  int delivered = 0;
  for (int hour = 0; hour < 30 * 24; ++hour, clock.advance(hours(1))) {
    int day = hour / 24 + 1;
    if (hour % 24 == 2 && day != 25) {
      if (day >= 5 && day <= 9)
        outbox.failed(backup, Severity::critical, sample_facts());
      else
        outbox.good(backup);
      outbox.good(missed);
    }
    if (hour % 24 == 3 && day == 25) outbox.failed(missed, Severity::critical, {});
    if (day >= 15 && day <= 21 && hour % 2 == 0) outbox.failed(lag, Severity::warning, {});
    if (hour % 2 == 1) outbox.good(lag);
    delivered += outbox.deliver(std::chrono::seconds(60)).delivered;
  }
  fmt::print("delivered {}\n", delivered);
  return kExitDone;
}

int act(const Arguments& arguments, Outbox& outbox, const AlertSinks& sinks, ManualClock* manual) {
  const std::string& command = arguments.word(0);
  if (command == "fail" || command == "good") {
    IncidentKey key{parse_incident_kind(arguments.word(1)), arguments.word(2), arguments.word(3)};
    if (command == "good")
      outbox.good(key);
    else
      outbox.failed(
          key, arguments.words.size() > 4 ? parse_severity(arguments.word(4)) : Severity::critical,
          sample_facts());
    return kExitDone;
  }
  if (command == "run") {
    outbox.run({parse_message_type(arguments.word(1)), arguments.word(2), arguments.word(3),
                arguments.words.size() > 4 ? std::stoi(arguments.word(4)) : 0});
    return kExitDone;
  }
  if (command == "deliver")
    return report(outbox.deliver(
        std::chrono::seconds(arguments.words.size() > 1 ? std::stoi(arguments.word(1)) : 60)));
  if (command == "test") {
    SystemClock clock;
    int code = kExitDone;
    for (const SinkProblem& result :
         test_alert_sinks(sinks.pointers(), arguments.word(1), clock, std::chrono::seconds(10))) {
      fmt::print("{} {}\n", result.sink, result.problem.empty() ? "ok" : "failed");
      if (result.problem.empty()) continue;
      fmt::print(stderr, "{}: {}\n", result.sink, result.problem);
      code = kExitFailed;
    }
    return code;
  }
  if (command == "month" && manual != nullptr) return month(outbox, *manual);
  throw Error(ErrorCode::invalid, "unknown command " + command);
}

int work(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word.starts_with("--")) {
      if (i + 1 >= argc) throw Error(ErrorCode::invalid, word + " needs a value");
      arguments.options[word.substr(2)] = argv[++i];
    } else {
      arguments.words.push_back(word);
    }
  }
  SystemClock real;
  std::unique_ptr<ManualClock> manual;
  if (arguments.options.contains("now"))
    manual = std::make_unique<ManualClock>(parse_rfc3339(arguments.options["now"]));
  const Clock& clock = manual ? static_cast<const Clock&>(*manual) : real;
  std::unique_ptr<HttpTransport> transport = make_curl_transport();
  AlertSettings settings = settings_of_environment();
  AlertSinks sinks = make_alert_sinks(settings, *transport, clock);
  OutboxSettings outbox_settings;
  outbox_settings.folder = arguments.options["folder"];
  outbox_settings.rules.escalate_after = parse_escalation(settings.escalate_after);
  outbox_settings.is_quiet = parse_quiet_hours(settings.quiet_hours);
  Outbox outbox(outbox_settings, sinks.pointers(), clock);
  return act(arguments, outbox, sinks, manual.get());
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  try {
    return holdfast::work(argc, argv);
  } catch (const holdfast::Error& error) {
    fmt::print(stderr, "alert_tool: {} [{}]\n", error.in_one_line(),
               holdfast::error_code_name(error.code()));
    return holdfast::exit_code_of(error.code());
  }
}
