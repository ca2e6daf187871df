// holdfast alert: tries the sinks of alerts, and shows what is open and what waits.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/audit_trail.h"
#include "cli/command.h"
#include "cli/documents_audit.h"

namespace holdfast {
namespace {

constexpr std::chrono::seconds kTestEachMax{20};

struct ConfiguredSinks {
  AlertSettings settings;
  std::unique_ptr<HttpTransport> transport;
  AlertSinks sinks;
};

// Throws Error(invalid) if there are none: somebody who asks expects some.
ConfiguredSinks configured_sinks(CommandContext& context) {
  ConfiguredSinks made;
  made.settings = alert_settings(context.config);
  CurlOptions curl;
  curl.stop = context.run.stop;
  made.transport = make_curl_transport(curl);
  made.sinks =
      make_alert_sinks(made.settings, *made.transport, context.run.clock, context.run.stop);
  if (made.sinks.sinks.empty())
    throw Error(ErrorCode::invalid, "no alerts are configured",
                "name a sink in [alert] of holdfast.toml (slack_webhook_file, "
                "github_repository, webhook_url, smtp_url, ping_url): docs/alerts.md");
  return made;
}

int test_alerts(CommandContext& context) {
  ConfiguredSinks made = configured_sinks(context);
  // What a run needs before it tells anybody: rules that can be read, and the state's folder.
  Outbox(alert_outbox(context.config, made.settings), made.sinks.pointers(), context.run.clock)
      .state();
  OperationPart& part = context.operation.begin("alert.test", alert_source(context.config));
  std::vector<SinkProblem> results =
      test_alert_sinks(made.sinks.pointers(), alert_source(context.config), context.run.clock,
                       kTestEachMax, audit_head_teller(context.config, context.run)());
  bool all_good = true;
  for (const SinkProblem& result : results) {
    bool good = result.problem.empty();
    all_good = all_good && good;
    part.detail(result.sink, good ? "ok" : "failed");
    context.output.verdict(
        good, fmt::format("{:<8} {}", result.sink, good ? "took the test" : result.problem));
  }
  context.output.document(alert_test_document(results));
  return all_good ? kExitDone : kExitFailed;
}

std::string incident_place(const IncidentKey& key) {
  std::string place = key.source.empty() ? "-" : printable(key.source);
  return key.store.empty() ? place : place + " in " + printable(key.store);
}

int show_alerts(CommandContext& context) {
  ConfiguredSinks made = configured_sinks(context);
  OutboxSettings settings = alert_outbox(context.config, made.settings);
  std::string folder = settings.folder;
  Outbox outbox(std::move(settings), made.sinks.pointers(), context.run.clock);
  AlertState state = outbox.state();
  Output& output = context.output;
  output.document(alert_state_document(folder, state));
  size_t open = 0;
  for (const Incident& incident : state.incidents) {
    if (incident.closed_at) continue;
    ++open;
    output.verdict(false,
                   fmt::format("{:<8} {:<10} {}  since {}, {}{}", severity_name(incident.severity),
                               incident_kind_name(incident.key.kind), incident_place(incident.key),
                               format_rfc3339(incident.opened_at),
                               plural(static_cast<uint64_t>(incident.failures), "failure"),
                               incident.good_since ? ", good again for now" : ""));
  }
  if (open == 0) output.verdict(true, "no incident is open");
  for (const AlertSinkState& sink : state.sinks) {
    std::string down = sink.down_since ? ", down since " + format_rfc3339(*sink.down_since) : "";
    output.line(fmt::format("  {:<8} {} waiting{}{}", sink.name,
                            plural(sink.pending.size(), "message"), down,
                            sink.problem.empty() ? "" : ": " + sink.problem));
  }
  return kExitDone;
}

}  // namespace

int command_alert(CommandContext& context) {
  std::string action = context.argument_or("");
  if (action == "test") return test_alerts(context);
  if (action == "show") return show_alerts(context);
  throw Error(ErrorCode::invalid,
              action.empty() ? "alert: what about it?"
                             : fmt::format("alert: unknown action {}{}", shown(action),
                                           did_you_mean(action, {"test", "show"})),
              "holdfast alert test, alert show");
}

}  // namespace holdfast
