#include "alert/alert_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "alert/curl_mail.h"
#include "alert/github_notifier.h"
#include "alert/simple_sinks.h"
#include "base/duration.h"
#include "base/text.h"

namespace holdfast {
namespace {

using std::chrono::minutes;

constexpr size_t kEscalationsMax = 10;

int whole_number(std::string_view text) {
  int number = -1;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : -1;
}

// Minutes since midnight of "22:30"; -1 if it is no time.
int time_of_day(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return -1;
  int hour = whole_number(text.substr(0, 2)), minute = whole_number(text.substr(3));
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return -1;
  return hour * 60 + minute;
}

minutes duration_of(std::string_view text) {
  // Alerts look at the time once a minute.
  std::optional<std::chrono::seconds> duration = parse_duration(text);
  if (duration && *duration >= minutes(1) && *duration % minutes(1) == std::chrono::seconds(0))
    return std::chrono::duration_cast<minutes>(*duration);
  throw Error(ErrorCode::invalid,
              fmt::format("escalate_after: '{}' is no duration", printable(text, 40)),
              "write it like 90m, 4h or 2d; several are separated by commas");
}

std::vector<std::string> list_of(const std::string& text) {
  std::vector<std::string> entries;
  for (const std::string& part : split(text, ','))
    if (std::string_view entry = trim(part); !entry.empty()) entries.emplace_back(entry);
  return entries;
}

Error incomplete(const char* given, const char* missing) {
  return Error(ErrorCode::invalid, fmt::format("{} is set, and {} is not", given, missing),
               "an alert sink needs both");
}

}  // namespace

std::vector<minutes> parse_escalation(std::string_view text) {
  std::vector<minutes> steps;
  for (const std::string& part : list_of(std::string(text))) steps.push_back(duration_of(part));
  if (steps.size() > kEscalationsMax || !std::is_sorted(steps.begin(), steps.end()) ||
      std::adjacent_find(steps.begin(), steps.end()) != steps.end())
    throw Error(ErrorCode::invalid, "escalate_after is not a rising list of at most 10 durations",
                "write it like 4h, 24h");
  return steps;
}

std::function<bool(UtcTime)> parse_quiet_hours(std::string_view text) {
  std::string_view whole = trim(text);
  if (whole.empty()) return {};
  size_t dash = whole.find('-');
  int begin = dash == std::string_view::npos ? -1 : time_of_day(trim(whole.substr(0, dash)));
  int end = dash == std::string_view::npos ? -1 : time_of_day(trim(whole.substr(dash + 1)));
  if (begin < 0 || end < 0 || begin == end)
    throw Error(ErrorCode::invalid,
                fmt::format("quiet_hours: '{}' is no span of time", printable(whole, 40)),
                "write it like 22:00-06:00, in UTC");
  return [begin, end](UtcTime now) {
    auto of_day = now - std::chrono::floor<std::chrono::days>(now);
    int minute = static_cast<int>(std::chrono::floor<minutes>(of_day).count());
    return begin < end ? minute >= begin && minute < end : minute >= begin || minute < end;
  };
}

std::vector<Notifier*> AlertSinks::pointers() const {
  std::vector<Notifier*> all;
  for (const auto& sink : sinks) all.push_back(sink.get());
  return all;
}

AlertSinks make_alert_sinks(const AlertSettings& settings, HttpTransport& transport,
                            const Clock& clock, std::stop_token stop) {
  AlertSinks made;
  if (!settings.github_repository.empty()) {
    if (settings.github_token.empty()) throw incomplete("github_repository", "github_token_file");
    GithubSettings github;
    github.repository = settings.github_repository;
    if (!settings.github_api_url.empty()) github.api_url = settings.github_api_url;
    github.token = settings.github_token;
    made.sinks.push_back(std::make_unique<GithubNotifier>(std::move(github), transport, clock));
  }
  if (!settings.slack_webhook.empty())
    made.sinks.push_back(std::make_unique<SlackNotifier>(settings.slack_webhook, transport, clock));
  if (!settings.webhook_url.empty())
    made.sinks.push_back(std::make_unique<WebhookNotifier>(
        settings.webhook_url, settings.webhook_secret, transport, clock));
  if (!settings.smtp_url.empty()) {
    if (settings.mail_to.empty()) throw incomplete("smtp_url", "mail_to");
    if (settings.mail_from.empty()) throw incomplete("smtp_url", "mail_from");
    SmtpSettings smtp = parse_smtp_url(settings.smtp_url);
    if (!settings.smtp_password.empty()) smtp.password = settings.smtp_password;
    smtp.ca_file = settings.smtp_ca_file;
    smtp.stop = std::move(stop);
    made.mail = make_curl_mail(std::move(smtp));
    made.sinks.push_back(std::make_unique<MailNotifier>(
        MailSettings{std::string(trim(settings.mail_from)), list_of(settings.mail_to)},
        *made.mail));
  } else if (!settings.mail_to.empty()) {
    throw incomplete("mail_to", "smtp_url");
  }
  if (!settings.ping_url.empty())
    made.sinks.push_back(std::make_unique<PingNotifier>(settings.ping_url, transport, clock));
  return made;
}

}  // namespace holdfast
