#include "cli/alerting.h"

#include <fmt/format.h>

#include "base/this_machine.h"
#include "cli/audit_trail.h"
#include "cli/stores.h"

namespace holdfast {
namespace {

constexpr const char* kSystemStateFolder = "/var/lib/holdfast";

// A secret that stands in the environment, or else in the file that is named.
Secret secret_of(const Config& config, const std::string& option) {
  if (config.given(option)) return config.secret(option);
  std::string file = option + "_file";
  return config.given(file) ? config.secret_in_file(file) : Secret();
}

std::string alert_folder(const Config& config) {
  if (config.given("alert_dir")) return config.text("alert_dir");
  if (is_own_folder(kSystemStateFolder)) return std::string(kSystemStateFolder) + "/alerts";
  return state_folder(config) + "/alerts";
}

std::string environment_value(const Config& config, const char* name) {
  auto found = config.environment().find(name);
  return found == config.environment().end() ? std::string() : found->second;
}

}  // namespace

AlertSettings alert_settings(const Config& config) {
  AlertSettings settings;
  settings.github_repository = config.text("alert_github_repository");
  settings.github_api_url = config.text("alert_github_api_url");
  settings.github_token = secret_of(config, "alert_github_token");
  settings.slack_webhook = secret_of(config, "alert_slack_webhook");
  settings.webhook_url = config.secret("alert_webhook_url");
  settings.webhook_secret = secret_of(config, "alert_webhook_secret");
  settings.smtp_url = config.secret("alert_smtp_url");
  settings.smtp_password = secret_of(config, "alert_smtp_password");
  settings.smtp_ca_file = config.text("alert_smtp_ca_file");
  settings.mail_from = config.text("alert_mail_from");
  settings.mail_to = config.text("alert_mail_to");
  settings.ping_url = config.secret("alert_ping_url");
  settings.escalate_after = config.text("alert_escalate_after");
  settings.quiet_hours = config.text("alert_quiet_hours");
  return settings;
}

std::optional<IncidentKind> incident_of_command(std::string_view command) {
  if (command == "backup") return IncidentKind::backup;
  if (command == "verify") return IncidentKind::proof;
  if (command == "drill") return IncidentKind::drill;
  if (command == "prune") return IncidentKind::prune;
  return std::nullopt;
}

OutboxSettings alert_outbox(const Config& config, const AlertSettings& settings) {
  OutboxSettings outbox;
  outbox.folder = alert_folder(config);
  outbox.rules.escalate_after = parse_escalation(settings.escalate_after);
  outbox.is_quiet = parse_quiet_hours(settings.quiet_hours);
  return outbox;
}

std::string alert_source(const Config& config) {
  if (config.source_name() != "default") return config.source_name();
  try {
    return config.has_database() ? config.source_conninfo().dbname() : std::string();
  } catch (const Error&) {
    return {};  // the URL is what is wrong
  }
}

FailureFacts alert_facts(const Config& config) {
  FailureFacts facts;
  facts.host = host_name();
  std::string server = environment_value(config, "GITHUB_SERVER_URL");
  std::string repository = environment_value(config, "GITHUB_REPOSITORY");
  std::string job = environment_value(config, "GITHUB_RUN_ID");
  facts.run_url = environment_value(config, "CI_JOB_URL");
  if (!server.empty() && !repository.empty() && !job.empty())
    facts.run_url = fmt::format("{}/{}/actions/runs/{}", server, repository, job);
  return facts;
}

struct CommandAlerts::Open {
  std::unique_ptr<HttpTransport> transport;
  AlertSinks sinks;
  std::string source;
  std::unique_ptr<Alerts> alerts;
};

CommandAlerts::CommandAlerts(const Config& config, const Run& run, std::string run_id)
    : config_(config), run_(run), run_id_(std::move(run_id)) {}

CommandAlerts::~CommandAlerts() = default;

// The sinks do not listen to the wish to stop: that a run was ended has to be told as well, and
// what they may take is bounded anyway.
CommandAlerts::Open* CommandAlerts::open() noexcept {
  if (tried_ || config_.flag("no_alert")) return open_.get();
  tried_ = true;
  try {
    AlertSettings settings = alert_settings(config_);
    auto made = std::make_unique<Open>();
    made->transport = make_curl_transport({});
    made->sinks = make_alert_sinks(settings, *made->transport, run_.clock);
    if (made->sinks.sinks.empty()) return nullptr;
    made->source = alert_source(config_);
    OutboxSettings outbox = alert_outbox(config_, settings);
    outbox.audit_head = audit_head_teller(config_, run_);
    made->alerts = std::make_unique<Alerts>(outbox, made->sinks.pointers(), run_.clock, run_.log);
    open_ = std::move(made);
  } catch (const Error& error) {
    run_.log.warning(fmt::format("nobody is alerted: {}", error.in_one_line()));
  } catch (const std::exception& error) {
    run_.log.warning(fmt::format("nobody is alerted: {}", error.what()));
  }
  return open_.get();
}

void CommandAlerts::failed(IncidentKind kind, const std::string& store, Severity severity,
                           FailureFacts facts) noexcept {
  std::lock_guard lock(mutex_);
  Open* to = open();
  if (to == nullptr) return;
  FailureFacts where = alert_facts(config_);
  facts.host = where.host;
  facts.run_url = where.run_url;
  to->alerts->failed({kind, to->source, store}, severity, facts);
}

void CommandAlerts::failed(IncidentKind kind, const std::string& store, const Error& error,
                           const std::string& backup) noexcept {
  if (error.code() == ErrorCode::cancelled) return;
  FailureFacts facts;
  facts.code = error.code();
  facts.exit_code = exit_code_of(error.code());
  facts.backup = backup;
  // Another run that holds the lock is at work on the same thing.
  failed(kind, store, error.code() == ErrorCode::busy ? Severity::warning : Severity::critical,
         std::move(facts));
}

void CommandAlerts::good(IncidentKind kind, const std::string& store,
                         std::optional<UtcTime> as_of) noexcept {
  std::lock_guard lock(mutex_);
  Open* to = open();
  if (to == nullptr) return;
  to->alerts->good({kind, to->source, store}, as_of);
  // One that was opened while the source's URL could not be read.
  if (store.empty() && !to->source.empty()) to->alerts->good({kind, "", ""}, as_of);
}

void CommandAlerts::command_failed(IncidentKind kind, const Error& error, bool named) noexcept {
  bool mistyped =
      error.code() == ErrorCode::invalid || (named && error.code() == ErrorCode::not_found);
  if (mistyped && kind != IncidentKind::backup) return;
  failed(kind, "", error);
}

void CommandAlerts::run_started() noexcept {
  std::lock_guard lock(mutex_);
  Open* to = open();
  if (to == nullptr) return;
  started_ = true;
  to->alerts->run({MessageType::started, to->source, run_id_, 0, host_name()});
  to->alerts->deliver(kAlertStartMax);
}

void CommandAlerts::run_ended(int exit_code) noexcept {
  std::lock_guard lock(mutex_);
  if (!started_) return;
  MessageType type = exit_code == kExitDone ? MessageType::succeeded : MessageType::failed;
  open_->alerts->run({type, open_->source, run_id_, exit_code, host_name()});
}

void CommandAlerts::deliver_waiting() noexcept {
  {
    std::lock_guard lock(mutex_);
    open();
  }
  deliver();
}

void CommandAlerts::deliver() noexcept {
  std::lock_guard lock(mutex_);
  if (open_) open_->alerts->deliver(kAlertDeliveryMax);
}

}  // namespace holdfast
