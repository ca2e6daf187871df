// The settings of alerts as an operator writes them (docs/alerts.md), checked and made into sinks.
//
// Secrets are Secret; nothing here prints them. Throws Error(invalid) that names the setting. Pure,
// but for make_alert_sinks, which opens no connection.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "alert/mail.h"
#include "alert/notifier.h"
#include "base/secret.h"
#include "store/http.h"

namespace holdfast {

struct AlertSettings {
  std::string github_repository;
  std::string github_api_url;  // empty: github.com's
  Secret github_token;
  Secret slack_webhook;
  Secret webhook_url, webhook_secret;
  Secret smtp_url, smtp_password;
  std::string smtp_ca_file;
  std::string mail_to, mail_from;
  Secret ping_url;
  std::string escalate_after;  // "4h, 24h"
  std::string quiet_hours;     // "22:00-06:00", UTC
};

// "90m", "4h", "2d", separated by commas; ascending, at most 10.
std::vector<std::chrono::minutes> parse_escalation(std::string_view text);
// "22:00-06:00" (over midnight where the end is earlier); empty: never quiet.
std::function<bool(UtcTime)> parse_quiet_hours(std::string_view text);

// The sinks that are configured, and what they need to live.
struct AlertSinks {
  std::unique_ptr<MailTransport> mail;
  std::vector<std::unique_ptr<Notifier>> sinks;
  std::vector<Notifier*> pointers() const;
};
AlertSinks make_alert_sinks(const AlertSettings& settings, HttpTransport& transport,
                            const Clock& clock, std::stop_token stop = {});

}  // namespace holdfast
