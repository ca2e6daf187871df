#include "alert/wire_json.h"

#include <algorithm>
#include <charconv>

#include "seal/json_fields.h"

namespace holdfast {
namespace {

constexpr int kDepthMax = 24;            // GitHub's own nest to 6
constexpr size_t kValuesMax = 400'000;   // a page of 50 issues has about 10,000
constexpr size_t kSlackHeaderMax = 150;  // characters; all of Slack's Block Kit reference
constexpr size_t kSlackFieldsMax = 10;
constexpr size_t kSlackTextMax = 2900;  // of 3,000 in a section

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Error no_answer(const char* what) {
  return Error(ErrorCode::unavailable, fmt::format("github answered with {}", what),
               "see that github_api_url is the API's");
}

Json parse_answer(std::string_view body) {
  size_t values = 0;
  auto count = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kDepthMax || ++values > kValuesMax) throw no_answer("too large a document");
    return true;
  };
  Json answer = Json::parse(body, count, /*allow_exceptions=*/false);
  if (answer.is_discarded()) throw no_answer("what is no JSON");
  return answer;
}

std::string text_or_empty(const Json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

GithubIssue issue_of(const Json& json) {
  if (!json.is_object()) throw no_answer("an issue that is none");
  auto number = json.find("number");
  if (number == json.end() || !number->is_number_unsigned() ||
      number->get<uint64_t>() > uint64_t{INT64_MAX})
    throw no_answer("an issue without a number");
  GithubIssue issue;
  issue.number = number->get<int64_t>();
  issue.open = text_or_empty(json, "state") == "open";
  issue.is_pull_request = json.contains("pull_request");
  issue.body = text_or_empty(json, "body");
  return issue;
}

// Inline code shows anything as it is, and mentions nobody.
std::string as_code(std::string text) {
  for (char& c : text)
    if (c == '`') c = '\'';
  return "`" + text + "`";
}

std::string slack_escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

// At most so many characters, cut on the border of one.
std::string characters(const std::string& text, size_t most) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++i)
    if ((text[i] & 0xC0) != 0x80 && count++ == most) return text.substr(0, i);
  return text;
}

size_t character_count(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

Json mrkdwn(const std::string& text) {
  return {{"type", "mrkdwn"}, {"text", text}};
}

Json section(const std::string& text) {
  return {{"type", "section"}, {"text", mrkdwn(text)}};
}

Json context_block(const std::string& text) {
  return {{"type", "context"}, {"elements", {mrkdwn(text)}}};
}

// Named as `audit anchor --json` names them.
Json audit_head_json(const AlertMessage& message) {
  if (!message.audit_head) return {};
  const AuditHead& head = *message.audit_head;
  return {{"log", head.log},
          {"seq", head.seq},
          {"hash", head.hash},
          {"time", format_rfc3339(head.time)},
          {"line", alert_audit_line(message)}};
}

Json time_or_null(const std::optional<UtcTime>& time) {
  return time ? Json(format_rfc3339(*time)) : Json();
}

Json optional_json(const std::optional<int64_t>& value) {
  return value ? Json(*value) : Json();
}

}  // namespace

std::string incident_marker(const std::string& key_id) {
  return fmt::format("<!-- holdfast-incident:{} -->", key_id);
}

std::string message_marker(const std::string& message_id) {
  return fmt::format("<!-- holdfast-message:{} -->", message_id);
}

std::string github_text(const AlertMessage& message, const std::string& note, bool whole) {
  const Incident& incident = message.incident;
  std::string text = whole ? "## Backup Failure Alert\n\n" : "**" + alert_title(message) + "**\n\n";
  if (incident.key.kind == IncidentKind::test) text = "## Test Alert\n\n";
  text += alert_sentence(message) + "\n\n";
  for (const auto& [name, value] : alert_facts(message))
    text += fmt::format("**{}:** {}  \n", name, as_code(value));
  if (std::string line = alert_audit_line(message); !line.empty())
    text += fmt::format("**Audit trail:** {}  \n", as_code(line));
  if (!incident.facts.run_url.empty())
    text += fmt::format("\n[View the run's log]({})\n", incident.facts.run_url);
  if (whole) {
    text += "\n### Action Required\n";
    for (const std::string& step : alert_checklist(incident))
      text += fmt::format("- [ ] {}\n", step);
    if (std::string compliance = alert_compliance(incident); !compliance.empty())
      text += fmt::format("\n### HIPAA Compliance Note\n{}\n", compliance);
    text += "\nThis issue is commented on while it lasts and closed when it is over.\n";
  }
  if (!note.empty()) text += fmt::format("\n> {}\n", note);
  text += "\n" + incident_marker(incident_key_id(incident.key)) + "\n" + message_marker(message.id);
  return text;
}

std::string github_issue_json(const std::string& title, const std::string& body) {
  return dumped(
      {{"title", title}, {"body", body}, {"labels", {"bug", "critical", "compliance", "backup"}}});
}

std::string github_comment_json(const std::string& body) {
  return dumped({{"body", body}});
}

std::string github_state_json(bool open) {
  return dumped(open ? Json{{"state", "open"}, {"state_reason", "reopened"}}
                     : Json{{"state", "closed"}, {"state_reason", "completed"}});
}

std::vector<GithubIssue> read_github_issues(std::string_view body) {
  Json answer = parse_answer(body);
  if (!answer.is_array()) throw no_answer("no list of issues");
  std::vector<GithubIssue> issues;
  for (const Json& issue : answer) issues.push_back(issue_of(issue));
  return issues;
}

GithubIssue read_github_issue(std::string_view body) {
  return issue_of(parse_answer(body));
}

std::vector<std::string> read_github_comments(std::string_view body) {
  Json answer = parse_answer(body);
  if (!answer.is_array()) throw no_answer("no list of comments");
  std::vector<std::string> bodies;
  for (const Json& comment : answer) {
    if (!comment.is_object()) throw no_answer("a comment that is none");
    bodies.push_back(text_or_empty(comment, "body"));
  }
  return bodies;
}

std::optional<int> next_github_page(std::string_view link_header) {
  for (const std::string& link : split(link_header, ',')) {
    if (link.find("rel=\"next\"") == std::string::npos) continue;
    std::string_view url = std::string_view(link).substr(0, link.find('>'));
    for (std::string_view start : {"?page=", "&page="}) {
      size_t at = url.find(start);
      if (at == std::string_view::npos) continue;
      std::string_view digits = url.substr(at + start.size());
      int page = 0;
      auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), page);
      bool ended = end == digits.data() + digits.size() || *end == '&';
      if (error == std::errc() && ended && page > 0) return page;
    }
  }
  return std::nullopt;
}

std::string slack_json(const AlertMessage& message, const std::string& note) {
  const Incident& incident = message.incident;
  std::string title = alert_title(message);
  Json blocks = Json::array();
  std::string header = slack_escaped(title);
  for (size_t most = kSlackHeaderMax; character_count(header) > kSlackHeaderMax; most -= 10)
    header = slack_escaped(characters(title, most));  // never in the midst of an entity
  blocks.push_back(
      {{"type", "header"}, {"text", {{"type", "plain_text"}, {"text", header}, {"emoji", true}}}});
  blocks.push_back(section(slack_escaped(alert_sentence(message))));
  Json fields = Json::array();
  for (const auto& [name, value] : alert_facts(message))
    if (fields.size() < kSlackFieldsMax)
      fields.push_back(mrkdwn(fmt::format("*{}:*\n{}", name, slack_escaped(value))));
  blocks.push_back({{"type", "section"}, {"fields", fields}});
  if (message.type == MessageType::opened || message.type == MessageType::escalated) {
    std::string steps;
    for (const std::string& step : alert_checklist(incident))
      steps += fmt::format("• {}\n", slack_escaped(step));
    blocks.push_back(section(characters(steps, kSlackTextMax)));
    if (std::string compliance = alert_compliance(incident); !compliance.empty())
      blocks.push_back(section("⚠️ *HIPAA Compliance Alert* - " + slack_escaped(compliance)));
  }
  // A block of its own: the fields may be full.
  if (std::string line = alert_audit_line(message); !line.empty())
    blocks.push_back(context_block("Audit trail: " + as_code(line)));
  if (!note.empty()) blocks.push_back(context_block(slack_escaped(note)));
  if (!incident.facts.run_url.empty())
    blocks.push_back({{"type", "actions"},
                      {"elements",
                       {{{"type", "button"},
                         {"text", {{"type", "plain_text"}, {"text", "View Logs"}}},
                         {"url", incident.facts.run_url}}}}});
  return dumped({{"text", slack_escaped(title)}, {"blocks", blocks}});
}

std::string webhook_json(const AlertMessage& message, const std::string& note) {
  const Incident& incident = message.incident;
  const FailureFacts& facts = incident.facts;
  // News of a run are of no incident: what only one has is null.
  bool of_run = is_of_run(message.type);
  auto unless_run = [&](Json value) { return of_run ? Json() : value; };
  Json json = {{"version", 1},
               {"id", message.id},
               {"type", message_type_name(message.type)},
               {"at", format_rfc3339(message.at)},
               {"title", alert_title(message)},
               {"text", alert_sentence(message)},
               {"note", note}};
  if (message.type == MessageType::escalated) json["step"] = message.step;
  json["incident"] = {
      {"id", unless_run(incident.id)},
      {"key", unless_run(incident_key_id(incident.key))},
      {"kind", incident_kind_name(incident.key.kind)},
      {"severity", unless_run(severity_name(incident.severity))},
      {"source", incident.key.source},
      {"store", incident.key.store},
      {"opened_at", unless_run(format_rfc3339(incident.opened_at))},
      {"last_failure_at", unless_run(format_rfc3339(incident.last_failure_at))},
      {"closed_at", time_or_null(incident.closed_at)},
      {"failures", incident.failures},
      {"error", facts.code ? Json(error_code_name(*facts.code)) : Json()},
      {"backup", facts.backup},
      {"exit_code", message.type == MessageType::succeeded || message.type == MessageType::failed
                        ? Json(message.exit_code)
                        : optional_json(facts.exit_code)},
      {"measured_seconds", optional_json(facts.measured_seconds)},
      {"target_seconds", optional_json(facts.target_seconds)},
      {"measured_bytes", optional_json(facts.measured_bytes)},
      {"target_bytes", optional_json(facts.target_bytes)},
      {"problems", optional_json(facts.problems)},
      {"first_missed_at", time_or_null(facts.first_missed_at)},
      {"last_missed_at", time_or_null(facts.last_missed_at)},
      {"host", facts.host},
      {"run_url", facts.run_url}};
  json["checklist"] = of_run && message.type != MessageType::failed ? std::vector<std::string>()
                                                                    : alert_checklist(incident);
  json["audit_head"] = audit_head_json(message);
  return dumped(json);
}

}  // namespace holdfast
