#include "alert/mail.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kAddressMax = 254;  // RFC 5321 section 4.5.3.1.3
constexpr size_t kRecipientsMax = 50;
constexpr size_t kRefusedNamed = 3;
constexpr size_t kWordBytes = 45;        // of text in one encoded word: 60 of base64, 75 in all
constexpr size_t kPlainHeaderMax = 200;  // longer ones are folded as encoded words
constexpr size_t kLineOfBase64 = 76;     // RFC 2045

std::string domain_of(const std::string& address) {
  return address.substr(address.rfind('@') + 1);
}

// `Sat, 28 Nov 2026 19:14:56 +0000`, whatever the locale.
std::string mail_date(UtcTime time) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  auto day = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date{day};
  std::string text = format_rfc3339(time);
  return fmt::format("{}, {:02} {} {} {} +0000", kDays[std::chrono::weekday(day).c_encoding()],
                     static_cast<unsigned>(date.day()),
                     kMonths[static_cast<unsigned>(date.month()) - 1],
                     static_cast<int>(date.year()), text.substr(11, 8));
}

std::string base64_lines(const std::string& text) {
  std::string coded = to_base64(as_bytes(text)), lines;
  for (size_t at = 0; at < coded.size(); at += kLineOfBase64)
    lines += coded.substr(at, kLineOfBase64) + "\r\n";
  return lines;
}

std::string mail_text(const AlertMessage& message, const std::string& note) {
  const Incident& incident = message.incident;
  std::string text = alert_sentence(message) + "\n\n";
  for (const auto& [name, value] : alert_facts(message))
    text += fmt::format("{:<14}{}\n", name + ":", value);
  if (!incident.facts.run_url.empty()) text += fmt::format("\nLog: {}\n", incident.facts.run_url);
  if (message.type != MessageType::recovered) {
    text += "\nAction required:\n";
    for (const std::string& step : alert_checklist(incident)) text += fmt::format("- {}\n", step);
    if (std::string compliance = alert_compliance(incident); !compliance.empty())
      text += fmt::format("\nHIPAA: {}\n", compliance);
  }
  if (std::string line = alert_audit_line(message); !line.empty())
    text += fmt::format("\nAudit trail, for holdfast audit verify --head:\n{}\n", line);
  if (!note.empty()) text += fmt::format("\n{}\n", note);
  return text;
}

}  // namespace

void check_mail_address(const std::string& address, const std::string& setting) {
  size_t at = address.find('@');
  bool good = at != std::string::npos && at > 0 && at + 1 < address.size() &&
              address.find('@', at + 1) == std::string::npos && address.size() <= kAddressMax;
  for (char c : address)
    good = good && c > ' ' && c <= '~' &&
           std::string_view("<>()[]\\,;:\"").find(c) == std::string_view::npos;
  if (!good)
    throw Error(ErrorCode::invalid, fmt::format("'{}' is no mail address", printable(address, 100)),
                setting + " looks like ops@example.org; several are separated by commas");
}

std::string mail_header(const std::string& text) {
  bool plain = text.size() <= kPlainHeaderMax && text.find("=?") == std::string::npos &&
               std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (plain) return text;
  std::string clean = printable(text, 2000), words;
  for (size_t start = 0; start < clean.size();) {
    size_t end = std::min(start + kWordBytes, clean.size());
    // A word must hold whole characters (RFC 2047 section 5).
    while (end < clean.size() && end > start + 1 && (clean[end] & 0xC0) == 0x80) --end;
    words += fmt::format("{}=?UTF-8?B?{}?=", words.empty() ? "" : "\r\n ",
                         to_base64(as_bytes(clean.substr(start, end - start))));
    start = end;
  }
  return words;
}

std::string compose_mail(const AlertMessage& message, const std::string& note,
                         const std::string& from, const std::vector<std::string>& to) {
  std::string domain = domain_of(from);
  std::string list;
  for (const std::string& address : to) list += (list.empty() ? "" : ",\r\n ") + address;
  std::string thread = fmt::format("<holdfast-{}@{}>", message.incident.id, domain);
  std::string id = message.type == MessageType::opened
                       ? thread
                       : fmt::format("<holdfast-{}@{}>", message.id, domain);
  std::string data;
  auto header = [&](const char* name, const std::string& value) {
    data += fmt::format("{}: {}\r\n", name, value);
  };
  header("Date", mail_date(message.at));
  header("From", "Holdfast <" + from + ">");
  header("To", list);
  header("Subject", mail_header(alert_title(message)));
  header("Message-ID", id);
  if (id != thread) {
    header("In-Reply-To", thread);
    header("References", thread);
  }
  // No out-of-office answers (RFC 3834).
  header("Auto-Submitted", "auto-generated");
  if (message.incident.severity == Severity::critical) header("Importance", "high");
  header("MIME-Version", "1.0");
  header("Content-Type", "text/plain; charset=utf-8");
  header("Content-Transfer-Encoding", "base64");
  return data + "\r\n" + base64_lines(mail_text(message, note));
}

MailNotifier::MailNotifier(MailSettings settings, MailTransport& transport)
    : settings_(std::move(settings)), transport_(transport) {
  check_mail_address(settings_.from, "mail_from");
  if (settings_.to.empty())
    throw Error(ErrorCode::invalid, "there is nobody to send mail to",
                "mail_to looks like ops@example.org");
  if (settings_.to.size() > kRecipientsMax)
    throw Error(ErrorCode::invalid, "mail_to names too many addresses", "use a mailing list");
  for (const std::string& address : settings_.to) check_mail_address(address, "mail_to");
}

DeliveryReceipt MailNotifier::deliver(const Delivery& delivery) {
  std::string data = compose_mail(delivery.message, delivery.note, settings_.from, settings_.to);
  std::vector<std::string> refused =
      transport_.send({settings_.from, settings_.to, std::move(data)}, delivery.budget);
  DeliveryReceipt receipt;
  if (refused.empty()) return receipt;
  size_t named = std::min(refused.size(), kRefusedNamed);
  receipt.problem = fmt::format(
      "the server refused {}{}; the other recipients have it",
      fmt::join(refused.begin(), refused.begin() + static_cast<ptrdiff_t>(named), ", "),
      named < refused.size() ? fmt::format(" and {} more", refused.size() - named) : "");
  return receipt;
}

void MailNotifier::test(const AlertMessage& message, const DeliveryBudget& budget) {
  DeliveryReceipt receipt = deliver({message, "", 1, "", budget});
  if (!receipt.problem.empty())
    throw Error(ErrorCode::denied, receipt.problem, "see mail_to, and the mail server's log");
}

}  // namespace holdfast
