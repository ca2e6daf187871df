// For tests of alerts: the services behind the sinks, in memory. Each can be told to be down, to
// refuse, to ask for patience, and to lose its answer after the work was done.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "alert/github_notifier.h"
#include "alert/mail.h"
#include "alert/simple_sinks.h"

namespace holdfast {

enum class ServiceMood { good, down, broken, denies, gone, patience, refuses, lost };

class FakeService : public HttpTransport {
 public:
  ServiceMood mood = ServiceMood::good;
  HttpHeaders patience_headers{{"retry-after", "120"}};
  struct Request {
    std::string method, url, body;
    HttpHeaders headers;
    int total_timeout_ms = 0;
    std::string header(const std::string& name) const {
      for (const auto& [key, value] : headers)
        if (key == name) return value;
      return {};
    }
  };
  std::vector<Request> requests;

  std::unique_ptr<HttpClient> connect() override { return std::make_unique<Client>(*this); }

 protected:
  virtual HttpResponse answer(const Request&) { return {200, {}, "ok", 0}; }
  static HttpResponse with(int status, std::string body = "", HttpHeaders headers = {}) {
    return {status, std::move(headers), std::move(body), 0};
  }

 private:
  class Client final : public HttpClient {
   public:
    explicit Client(FakeService& service) : service_(service) {}
    HttpResponse send(const HttpRequest& request) override { return service_.take(request); }

   private:
    FakeService& service_;
  };

  HttpResponse take(const HttpRequest& request) {
    requests.push_back({request.method, request.url, std::string(as_text(request.body)),
                        request.headers, request.total_timeout_ms});
    Error none(ErrorCode::unavailable, "sink.test: reset by peer");
    switch (mood) {
      case ServiceMood::good:
        return answer(requests.back());
      case ServiceMood::lost:
        (void)answer(requests.back());
        throw none;
      case ServiceMood::down:
        throw none;
      case ServiceMood::broken:
        return with(500, "<html>oops</html>");
      case ServiceMood::denies:
        return with(401, "no");
      case ServiceMood::gone:
        return with(404, "no");
      case ServiceMood::patience:
        return with(429, "slow down", patience_headers);
      case ServiceMood::refuses:
        return with(request.method == "POST" ? 422 : 200, request.method == "POST" ? "no" : "[]");
    }
    return {};
  }
};

// The issues of one repository, with pages of two.
class FakeGithub final : public FakeService {
 public:
  struct Issue {
    std::string title, body, state = "open", reason;
    std::vector<std::string> comments;
    bool pull_request = false;
  };
  std::vector<Issue> issues;  // number i + 1
  size_t per_page = 50;

 protected:
  using Json = nlohmann::json;

  HttpResponse answer(const Request& request) override {
    std::string path = request.url.substr(request.url.find("/repos/o/r") + 10);
    std::string query;
    if (size_t mark = path.find('?'); mark != std::string::npos) {
      query = path.substr(mark);
      path.resize(mark);
    }
    if (path == "/issues" && request.method == "GET") return list(query);
    if (path == "/issues") {
      Json body = Json::parse(request.body);
      issues.push_back({body.at("title").get<std::string>(),
                        body.at("body").get<std::string>(),
                        "open",
                        "",
                        {},
                        false});
      return with(201, issue_json(issues.size()).dump());
    }
    size_t number = std::stoul(path.substr(path.find_last_of('s', path.find("s/") + 1) + 2));
    if (number < 1 || number > issues.size()) return with(404, "{}");
    Issue& issue = issues[number - 1];
    if (path.ends_with("/comments") && request.method == "GET") {
      Json all = Json::array();
      for (const std::string& comment : issue.comments) all.push_back({{"body", comment}});
      return with(200, all.dump());
    }
    if (path.ends_with("/comments")) {
      issue.comments.push_back(Json::parse(request.body).at("body").get<std::string>());
      return with(201, "{}");
    }
    if (request.method == "PATCH") {
      issue.state = Json::parse(request.body).at("state").get<std::string>();
      issue.reason = Json::parse(request.body).at("state_reason").get<std::string>();
    }
    return with(200, issue_json(number).dump());
  }

 private:
  Json issue_json(size_t number) const {
    const Issue& issue = issues[number - 1];
    Json json = {{"number", number}, {"state", issue.state}, {"body", issue.body}};
    if (issue.pull_request) json["pull_request"] = Json::object();
    return json;
  }

  HttpResponse list(const std::string& query) const {
    size_t at = query.find("&page=");
    size_t page = std::stoul(query.substr(at + 6));
    std::vector<Json> open;
    for (size_t i = 0; i < issues.size(); ++i)
      if (issues[i].state == "open") open.push_back(issue_json(i + 1));
    Json shown = Json::array();
    for (size_t i = (page - 1) * per_page; i < std::min(open.size(), page * per_page); ++i)
      shown.push_back(open[i]);
    HttpHeaders headers;
    if (page * per_page < open.size())
      headers.emplace_back("link", fmt::format("<https://api.test/x?page={}&per_page=2>; "
                                               "rel=\"next\", <https://api.test/x?page=9>; "
                                               "rel=\"last\"",
                                               page + 1));
    return with(200, shown.dump(), headers);
  }
};

class FakeMail final : public MailTransport {
 public:
  ServiceMood mood = ServiceMood::good;
  std::vector<MailEnvelope> sent;

  std::vector<std::string> refused;  // recipients, while the others get it

  std::vector<std::string> send(const MailEnvelope& envelope,
                                const DeliveryBudget& budget) override {
    budget.check();
    if (mood == ServiceMood::good || mood == ServiceMood::lost) sent.push_back(envelope);
    if (mood == ServiceMood::good) return refused;
    if (mood == ServiceMood::denies || mood == ServiceMood::gone)
      throw Error(ErrorCode::denied, "mail server m.test refused the login");
    if (mood == ServiceMood::refuses)
      throw Error(ErrorCode::invalid, "mail server m.test refused the mail (550)");
    throw Error(ErrorCode::unavailable, "mail server m.test: no answer");
  }
};

// One incident and its messages, as tests need them.
inline UtcTime alert_time(const std::string& text) {
  return parse_rfc3339("2026-11-" + text + ":00.000Z");
}

inline AuditHead sample_audit_head(uint64_t seq = 812) {
  return {std::string(32, '5'), seq, std::string(64, '9'), alert_time("28T02:04")};
}

inline AlertMessage sample_message(MessageType type = MessageType::opened) {
  AlertMessage message;
  message.type = type;
  message.at = alert_time("28T02:05");
  FailureFacts facts;
  facts.code = ErrorCode::unavailable;
  facts.backup = "care_2026-11-28T02-00-00-123Z";
  facts.exit_code = 1;
  facts.host = "db1";
  facts.run_url = "https://github.com/o/r/actions/runs/7";
  message.incident = open_incident({IncidentKind::backup, "care", "s3"}, Severity::critical, facts,
                                   message.at, nullptr, {});
  message.id = message.incident.id + "-1";
  if (type == MessageType::escalated) message.step = 1;
  if (type == MessageType::recovered) message.incident.good_since = message.at;
  if (is_of_run(type)) message.run_id = "0b50cfbc-5a4f-4b53-8e0b-2b61b7c0f1a1";
  if (type == MessageType::failed) message.exit_code = 3;
  return message;
}

}  // namespace holdfast
