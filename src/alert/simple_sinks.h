// The sinks that take each message as one HTTP request: Slack's incoming webhook, a signed webhook
// of any kind, and dead-man pings.
//
// Delivery is at least once: Slack shows a second one, the webhook carries the message's id to be
// recognised by, a ping said twice says nothing new. Failure: as notifier.h says. One thread at a
// time.
#pragma once

#include <string>

#include "alert/sink_http.h"

namespace holdfast {

// Block Kit, https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
class SlackNotifier final : public Notifier {
 public:
  SlackNotifier(Secret webhook_url, HttpTransport& transport, const Clock& clock);
  const std::string& name() const override { return name_; }
  bool wants(MessageType type) const override { return !is_of_run(type); }
  DeliveryReceipt deliver(const Delivery& delivery) override;
  void test(const AlertMessage& message, const DeliveryBudget& budget) override;

 private:
  const std::string name_ = "slack";
  Secret url_;
  SinkHttp http_;
};

// The body as docs/alerts.md says, signed: X-Holdfast-Signature is "v1=" and the HMAC-SHA-256 of
// "<X-Holdfast-Timestamp>.<body>" in hexadecimal.
class WebhookNotifier final : public Notifier {
 public:
  // `secret` may be empty: then nothing is signed. Wants messages of runs as well.
  WebhookNotifier(Secret url, Secret secret, HttpTransport& transport, const Clock& clock);
  const std::string& name() const override { return name_; }
  bool wants(MessageType) const override { return true; }
  DeliveryReceipt deliver(const Delivery& delivery) override;
  void test(const AlertMessage& message, const DeliveryBudget& budget) override;

 private:
  const std::string name_ = "webhook";
  Secret url_, secret_;
  SinkHttp http_;
};

std::string webhook_signature(const Secret& secret, const std::string& timestamp,
                              const std::string& body);

// healthchecks.io's addresses: URL/start, URL, URL/<exit code> (or URL/fail), with ?rid= of the
// run.
class PingNotifier final : public Notifier {
 public:
  PingNotifier(Secret url, HttpTransport& transport, const Clock& clock);
  const std::string& name() const override { return name_; }
  bool wants(MessageType type) const override { return is_of_run(type); }
  DeliveryReceipt deliver(const Delivery& delivery) override;
  void test(const AlertMessage& message, const DeliveryBudget& budget) override;

 private:
  HttpResponse ping(const std::string& suffix, const std::string& run_id, const std::string& text,
                    const DeliveryBudget& budget);

  const std::string name_ = "ping";
  Secret url_;
  SinkHttp http_;
};

}  // namespace holdfast
