// What sinks are sent as JSON, and what GitHub answers. Pure functions; texts of incidents come
// from alert/alert_message.h and are escaped here as each sink needs it.
//
// Readers take foreign bytes: bounded, strict in what is used, blind to the rest;
// Error(unavailable) for what is no such answer (a proxy's page, say).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "alert/alert_message.h"

namespace holdfast {

inline constexpr size_t kGithubAnswerMax = 16 << 20;  // a page of 50 issues of 64 KiB, with margin

// Hidden in the text of issues and comments: what an incident's issue, and a message's comment, is
// found by again.
std::string incident_marker(const std::string& key_id);
std::string message_marker(const std::string& message_id);

// The text of an issue (`whole`: with checklist and note) or of a comment, as Markdown.
std::string github_text(const AlertMessage& message, const std::string& note, bool whole);
std::string github_issue_json(const std::string& title, const std::string& body);
std::string github_comment_json(const std::string& body);
std::string github_state_json(bool open);

struct GithubIssue {
  int64_t number = 0;
  bool open = false;
  bool is_pull_request = false;  // the list of issues has those too
  std::string body;
};
std::vector<GithubIssue> read_github_issues(std::string_view body);
GithubIssue read_github_issue(std::string_view body);
std::vector<std::string> read_github_comments(std::string_view body);
// The number of the next page in a Link header (RFC 8288), if there is one.
std::optional<int> next_github_page(std::string_view link_header);

std::string slack_json(const AlertMessage& message, const std::string& note);
// docs/alerts.md has its members.
std::string webhook_json(const AlertMessage& message, const std::string& note);

}  // namespace holdfast
