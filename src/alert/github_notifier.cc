#include "alert/github_notifier.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr int kPerPage = 50;
constexpr int kPagesMax = 20;  // 1,000 open issues of our labels
constexpr const char* kRightsHint =
    "github_repository is owner/name, and the token needs the right to write its issues";
// Comments are asked for from a day before the message on: clocks differ.
constexpr std::chrono::hours kClockMargin{24};

bool is_repository(const std::string& text) {
  size_t slash = text.find('/');
  if (slash == 0 || slash == std::string::npos || slash + 1 == text.size()) return false;
  return text.find('/', slash + 1) == std::string::npos && text.find("..") == std::string::npos &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == '/';
         });
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 19 &&
         text.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

GithubNotifier::GithubNotifier(GithubSettings settings, HttpTransport& transport,
                               const Clock& clock)
    : settings_(std::move(settings)), http_(name_, transport, clock) {
  check_sink_url(settings_.api_url, "github_api_url");
  while (settings_.api_url.ends_with("/")) settings_.api_url.pop_back();
  if (!is_repository(settings_.repository))
    throw Error(ErrorCode::invalid,
                fmt::format("'{}' is no repository", printable(settings_.repository, 100)),
                "github_repository looks like owner/name");
  const std::string& token = settings_.token.reveal();
  if (token.empty())
    throw Error(ErrorCode::invalid, "there is no token for github",
                "github_token_file names a file that holds one");
  for (char c : token)
    if (c <= ' ' || c > '~')
      throw Error(ErrorCode::invalid, "github's token holds a character that no token has",
                  "its file holds the token and nothing else");
}

HttpResponse GithubNotifier::call(const std::string& method, const std::string& path,
                                  const std::string& body, const DeliveryBudget& budget) {
  HttpRequest request;
  request.method = method;
  request.url = fmt::format("{}/repos/{}{}", settings_.api_url, settings_.repository, path);
  request.headers = {{"accept", "application/vnd.github+json"},
                     {"authorization", "Bearer " + settings_.token.reveal()},
                     {"x-github-api-version", "2022-11-28"}};
  if (!body.empty()) request.headers.emplace_back("content-type", "application/json");
  request.body = as_bytes(body);
  request.body_bytes_max = kGithubAnswerMax;
  HttpResponse response = http_.send(std::move(request), budget);
  wait_ = http_.asks_to_wait(response);
  if (wait_ > std::chrono::milliseconds(0))
    throw Error(ErrorCode::unavailable, "github asks to be left alone for a while");
  return response;
}

Error GithubNotifier::refused(const HttpResponse& response) const {
  return http_.refusal(response, kRightsHint);
}

DeliveryReceipt GithubNotifier::deliver(const Delivery& delivery) {
  wait_ = {};
  try {
    return {deliver_issue(delivery), {}};
  } catch (const Error&) {
    if (wait_ > std::chrono::milliseconds(0)) return {{}, wait_};
    throw;
  }
}

std::string GithubNotifier::deliver_issue(const Delivery& delivery) {
  MessageType type = delivery.message.type;
  std::optional<GithubIssue> issue = find_issue(delivery);
  if (type == MessageType::recovered) {
    // Nothing to close: an issue that was deleted, or one that a forgetful host only asked about.
    if (!issue) return {};
    comment(*issue, delivery);
    if (issue->open) set_open(*issue, false, delivery.budget);
  } else if (!issue) {
    issue = create(delivery);
  } else {
    if (!issue->open) set_open(*issue, true, delivery.budget);
    comment(*issue, delivery);
  }
  return fmt::format("{}", issue->number);
}

std::optional<GithubIssue> GithubNotifier::find_issue(const Delivery& delivery) {
  if (auto issue = issue_of_ticket(delivery)) return issue;
  return issue_of_marker(delivery);
}

std::optional<GithubIssue> GithubNotifier::issue_of_ticket(const Delivery& delivery) {
  if (!is_number(delivery.ticket)) return std::nullopt;
  HttpResponse response = call("GET", "/issues/" + delivery.ticket, "", delivery.budget);
  // Deleted, or moved to another repository.
  if (response.status == 404 || response.status == 410 || response.status == 301)
    return std::nullopt;
  if (response.status != 200) throw refused(response);
  return read_github_issue(response.body);
}

std::optional<GithubIssue> GithubNotifier::issue_of_marker(const Delivery& delivery) {
  std::string marker = incident_marker(incident_key_id(delivery.message.incident.key));
  int page = 1;
  for (int asked = 0; asked < kPagesMax; ++asked) {
    HttpResponse response =
        call("GET",
             fmt::format("/issues?state=open&labels=backup&sort=created&direction=asc&"
                         "per_page={}&page={}",
                         kPerPage, page),
             "", delivery.budget);
    if (response.status != 200) throw refused(response);
    for (GithubIssue& issue : read_github_issues(response.body))
      if (!issue.is_pull_request && issue.open && issue.body.find(marker) != std::string::npos)
        return std::move(issue);
    std::optional<int> next = next_github_page(response.header("link"));
    if (!next || *next <= page) return std::nullopt;
    page = *next;
  }
  return std::nullopt;
}

GithubIssue GithubNotifier::create(const Delivery& delivery) {
  HttpResponse response =
      call("POST", "/issues",
           github_issue_json(incident_title(delivery.message.incident),
                             github_text(delivery.message, delivery.note, true)),
           delivery.budget);
  if (response.status != 201) throw refused(response);
  return read_github_issue(response.body);
}

void GithubNotifier::comment(const GithubIssue& issue, const Delivery& delivery) {
  if (delivery.attempt > 1 && has_comment(issue, delivery)) return;
  HttpResponse response = call(
      "POST", fmt::format("/issues/{}/comments", issue.number),
      github_comment_json(github_text(delivery.message, delivery.note, false)), delivery.budget);
  if (response.status != 201) throw refused(response);
}

bool GithubNotifier::has_comment(const GithubIssue& issue, const Delivery& delivery) {
  std::string marker = message_marker(delivery.message.id);
  if (issue.body.find(marker) != std::string::npos) return true;  // it opened the issue
  std::string since = format_rfc3339(delivery.message.at - kClockMargin).substr(0, 19) + "Z";
  int page = 1;
  for (int asked = 0; asked < kPagesMax; ++asked) {
    HttpResponse response = call("GET",
                                 fmt::format("/issues/{}/comments?since={}&per_page={}&page={}",
                                             issue.number, since, kPerPage, page),
                                 "", delivery.budget);
    if (response.status != 200) throw refused(response);
    for (const std::string& body : read_github_comments(response.body))
      if (body.find(marker) != std::string::npos) return true;
    std::optional<int> next = next_github_page(response.header("link"));
    if (!next || *next <= page) return false;
    page = *next;
  }
  return false;
}

void GithubNotifier::set_open(const GithubIssue& issue, bool open, const DeliveryBudget& budget) {
  HttpResponse response =
      call("PATCH", fmt::format("/issues/{}", issue.number), github_state_json(open), budget);
  if (response.status != 200) throw refused(response);
}

void GithubNotifier::test(const AlertMessage& message, const DeliveryBudget& budget) {
  wait_ = {};
  Delivery opened{message, "", 1, "", budget};
  AlertMessage over = message;
  over.type = MessageType::recovered;
  std::string ticket = deliver_issue(opened);
  deliver_issue({over, ticket, 1, "", budget});
}

}  // namespace holdfast
