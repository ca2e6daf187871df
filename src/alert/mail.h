// E-mail: the text of a message (RFC 5322, MIME) and the seam by which it is sent.
//
// Updates of an incident thread: every message has an id of its own, the same for every attempt, so
// that a second delivery is recognised, and refers to the incident's. Header injection is
// impossible: addresses are checked to be plain, everything else is encoded. Pure, but for the
// seam.
#pragma once

#include <string>
#include <vector>

#include "alert/notifier.h"
#include "base/secret.h"

namespace holdfast {

struct MailEnvelope {
  std::string from;  // addresses only
  std::vector<std::string> to;
  std::string data;  // headers and body, lines end in CRLF
};

// A seam: libcurl in curl_mail.cc; tests have their own.
class MailTransport {
 public:
  virtual ~MailTransport() = default;
  // Returns once the server has taken it: the recipients that it refused, each with its status,
  // "ops@example.org (550)"; all others have it. Error(denied) for a login or a certificate that is
  // refused, Error(invalid) for a message that is, or all its recipients (5xx), else
  // Error(unavailable).
  virtual std::vector<std::string> send(const MailEnvelope& envelope,
                                        const DeliveryBudget& budget) = 0;
};

// `anna@example.org`: nothing that could end a header or an address. Throws Error(invalid), which
// names `setting`.
void check_mail_address(const std::string& address, const std::string& setting);

// `text` as a header's value: as it is if it is plain ASCII, else RFC 2047's encoded words.
std::string mail_header(const std::string& text);

std::string compose_mail(const AlertMessage& message, const std::string& note,
                         const std::string& from, const std::vector<std::string>& to);

struct MailSettings {
  std::string from;
  std::vector<std::string> to;
};

class MailNotifier final : public Notifier {
 public:
  MailNotifier(MailSettings settings, MailTransport& transport);
  const std::string& name() const override { return name_; }
  bool wants(MessageType type) const override { return !is_of_run(type); }
  DeliveryReceipt deliver(const Delivery& delivery) override;
  void test(const AlertMessage& message, const DeliveryBudget& budget) override;

 private:
  const std::string name_ = "mail";
  MailSettings settings_;
  MailTransport& transport_;
};

}  // namespace holdfast
