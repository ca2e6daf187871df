// Sending mail by libcurl's SMTP client: smtp:// with STARTTLS (required unless the server is this
// machine itself) or smtps://, certificates verified, TLS 1.2 at least.
//
// A recipient that the server refuses keeps the others from nothing; one that it refuses for now
// (4xx) is not asked about again for this mail, which the others would get twice.
//
// Login and password come from the address's userinfo or apart from it; neither is in an error. One
// thread at a time. Failure: as MailTransport says.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "alert/mail.h"

namespace holdfast {

struct SmtpSettings {
  std::string host;  // as in the URL: IPv6 in brackets
  int port = 587;
  bool tls_from_start = false;  // smtps
  bool tls_required = true;     // else where the server offers it
  std::string login;
  Secret password;
  std::string ca_file;  // empty: the system's
  std::stop_token stop{};
};

// `smtp://[login[:password]@]host[:port]` or smtps. Throws Error(invalid); never repeats the text.
SmtpSettings parse_smtp_url(const Secret& url);

std::unique_ptr<MailTransport> make_curl_mail(SmtpSettings settings);

}  // namespace holdfast
