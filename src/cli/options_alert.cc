// [alert] of holdfast.toml: who is told what (docs/alerts.md).
#include "cli/option_groups.h"

namespace holdfast {
namespace {

const char* const kAlertGroup = "Alerts";

// Addresses count as secrets: those of webhooks and pings let anybody who knows them in.
std::vector<Option> sink_options() {
  using enum OptionKind;
  return {
      {"alert_github_repository", "", "HOLDFAST_ALERT_GITHUB_REPOSITORY", "alert.github_repository",
       text, "OWNER/NAME", "", 0, kAlertGroup,
       "the repository on GitHub that gets one issue per kind of incident"},
      {"alert_github_api_url", "", "HOLDFAST_ALERT_GITHUB_API_URL", "alert.github_api_url", text,
       "URL", "", 0, kAlertGroup, "GitHub Enterprise: https://HOST/api/v3"},
      {"alert_github_token_file", "", "HOLDFAST_ALERT_GITHUB_TOKEN_FILE", "alert.github_token_file",
       text, "FILE", "", 0, kAlertGroup, "a file with a token that may write issues"},
      {"alert_github_token", "", "HOLDFAST_ALERT_GITHUB_TOKEN", "", secret, "TOKEN", "", 0,
       kAlertGroup, "the token itself, as CI systems hand it over"},
      {"alert_slack_webhook_file", "", "HOLDFAST_ALERT_SLACK_WEBHOOK_FILE",
       "alert.slack_webhook_file", text, "FILE", "", 0, kAlertGroup,
       "a file with the address of Slack's incoming webhook, which is a secret"},
      {"alert_slack_webhook", "", "HOLDFAST_ALERT_SLACK_WEBHOOK", "", secret, "URL", "", 0,
       kAlertGroup, "that address itself"},
      {"alert_webhook_url", "", "HOLDFAST_ALERT_WEBHOOK_URL", "alert.webhook_url", secret, "URL",
       "", 0, kAlertGroup, "a webhook that gets every message as JSON"},
      {"alert_webhook_secret_file", "", "HOLDFAST_ALERT_WEBHOOK_SECRET_FILE",
       "alert.webhook_secret_file", text, "FILE", "", 0, kAlertGroup,
       "a file with the secret that its messages are signed with"},
      {"alert_webhook_secret", "", "HOLDFAST_ALERT_WEBHOOK_SECRET", "", secret, "SECRET", "", 0,
       kAlertGroup, "that secret itself"},
      {"alert_smtp_url", "", "HOLDFAST_ALERT_SMTP_URL", "alert.smtp_url", secret, "URL", "", 0,
       kAlertGroup, "the mail server: smtp://user@host:587 or smtps://user@host"},
      {"alert_smtp_password_file", "", "HOLDFAST_ALERT_SMTP_PASSWORD_FILE",
       "alert.smtp_password_file", text, "FILE", "", 0, kAlertGroup,
       "a file with the password of that user"},
      {"alert_smtp_password", "", "HOLDFAST_ALERT_SMTP_PASSWORD", "", secret, "PASSWORD", "", 0,
       kAlertGroup, "that password itself"},
      {"alert_smtp_ca_file", "", "HOLDFAST_ALERT_SMTP_CA_FILE", "alert.smtp_ca_file", text, "FILE",
       "", 0, kAlertGroup, "the certificates that the mail server's is checked with"},
      {"alert_mail_from", "", "HOLDFAST_ALERT_MAIL_FROM", "alert.mail_from", text, "ADDRESS", "", 0,
       kAlertGroup, "whom mail comes from"},
      {"alert_mail_to", "", "HOLDFAST_ALERT_MAIL_TO", "alert.mail_to", text, "ADDRESSES", "", 0,
       kAlertGroup, "whom mail goes to; several are separated by commas"},
      {"alert_ping_url", "", "HOLDFAST_ALERT_PING_URL", "alert.ping_url", secret, "URL", "", 0,
       kAlertGroup,
       "a dead-man service in healthchecks.io's way: told of start, success and failure of each "
       "backup"},
  };
}

std::vector<Option> rule_of_alert_options() {
  using enum OptionKind;
  constexpr unsigned kTells = kBackup | kVerify | kPrune | kDrill | kStatus;
  return {
      {"alert_escalate_after", "", "HOLDFAST_ALERT_ESCALATE_AFTER", "alert.escalate_after", text,
       "DURATIONS", "", 0, kAlertGroup,
       "when an incident that lasts is said louder: 4h, 24h after it opened"},
      {"alert_quiet_hours", "", "HOLDFAST_ALERT_QUIET_HOURS", "alert.quiet_hours", text,
       "FROM-UNTIL", "", 0, kAlertGroup, "when what is not critical waits, in UTC: 22:00-06:00"},
      {"alert_dir", "", "HOLDFAST_ALERT_DIR", "alert.dir", text, "FOLDER", "", 0, kAlertGroup,
       "where open incidents and messages that wait are kept; else /var/lib/holdfast/alerts where "
       "/var/lib/holdfast is this user's, or $XDG_STATE_HOME/holdfast/alerts"},
      {"no_alert", "--no-alert", "HOLDFAST_NO_ALERT", "", flag, "", "", kTells, kAlertGroup,
       "tell nobody of this run: neither what fails nor what went well"},
  };
}

}  // namespace

std::vector<Option> alert_options() {
  std::vector<Option> all = sink_options();
  for (Option& option : rule_of_alert_options()) all.push_back(std::move(option));
  return all;
}

}  // namespace holdfast
