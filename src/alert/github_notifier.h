// GitHub issues as a sink: one issue per kind of incident (its key), commented on while it lasts,
// closed with a note when it is over, reopened when it comes back at once or was closed too early.
//
// An issue is found by its number where that is known, else among the repository's open issues of
// our label by a marker hidden in its text, so that neither a crash between the request and its
// recording nor a host without a memory makes a second one. The list is used, not the search: the
// search's index lags behind. A comment that may have arrived is looked for by its own marker.
//
// Failure: as notifier.h says; rate limits (429, 403 with their headers) are a wait, not an error.
#pragma once

#include <optional>
#include <string>

#include "alert/sink_http.h"
#include "alert/wire_json.h"

namespace holdfast {

struct GithubSettings {
  std::string api_url = "https://api.github.com";  // Enterprise: https://HOST/api/v3
  std::string repository;                          // owner/name
  Secret token;
};

class GithubNotifier final : public Notifier {
 public:
  // Throws Error(invalid) for settings that cannot be right.
  GithubNotifier(GithubSettings settings, HttpTransport& transport, const Clock& clock);

  const std::string& name() const override { return name_; }
  bool wants(MessageType type) const override { return !is_of_run(type); }
  bool remembers() const override { return true; }
  DeliveryReceipt deliver(const Delivery& delivery) override;
  void test(const AlertMessage& message, const DeliveryBudget& budget) override;

 private:
  std::string deliver_issue(const Delivery& delivery);
  HttpResponse call(const std::string& method, const std::string& path, const std::string& body,
                    const DeliveryBudget& budget);
  Error refused(const HttpResponse& response) const;
  std::optional<GithubIssue> find_issue(const Delivery& delivery);
  std::optional<GithubIssue> issue_of_ticket(const Delivery& delivery);
  std::optional<GithubIssue> issue_of_marker(const Delivery& delivery);
  GithubIssue create(const Delivery& delivery);
  void comment(const GithubIssue& issue, const Delivery& delivery);
  bool has_comment(const GithubIssue& issue, const Delivery& delivery);
  void set_open(const GithubIssue& issue, bool open, const DeliveryBudget& budget);

  const std::string name_ = "github";
  GithubSettings settings_;
  SinkHttp http_;
  std::chrono::milliseconds wait_{0};  // what the last answer asked for
};

}  // namespace holdfast
