#include "alert/curl_mail.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr int kSubmissionPort = 587, kSubmissionsPort = 465;  // RFC 6409, RFC 8314
constexpr int kConnectMsMax = 10'000;
#if LIBCURL_VERSION_NUM >= 0x080200
constexpr CURLoption kRecipientsMayFail = CURLOPT_MAIL_RCPT_ALLOWFAILS;
#else
constexpr CURLoption kRecipientsMayFail = CURLOPT_MAIL_RCPT_ALLLOWFAILS;
#endif

Error wrong_smtp(const char* what) {
  return Error(ErrorCode::invalid, fmt::format("smtp_url {}", what),
               "it looks like smtp://mail.example.org:587");
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    std::string byte = i + 2 < text.size() ? from_hex(lower(text.substr(i + 1, 2))) : "";
    if (byte.empty() || static_cast<unsigned char>(byte[0]) < ' ')
      throw wrong_smtp("has a login that cannot be decoded");
    out += byte;
    i += 2;
  }
  return out;
}

struct MailEasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MailListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

struct Upload {
  const std::string& data;
  const std::stop_token& stop;
  size_t sent = 0;
};

size_t on_mail_read(char* out, size_t, size_t room, void* context) {
  auto& upload = *static_cast<Upload*>(context);
  size_t count = std::min(room, upload.data.size() - upload.sent);
  std::memcpy(out, upload.data.data() + upload.sent, count);
  upload.sent += count;
  return count;
}

size_t on_mail_answer(char*, size_t, size_t count, void*) {
  return count;  // the server's words are not ours to print
}

int on_mail_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Upload*>(context)->stop.stop_requested() ? 1 : 0;
}

// Which recipients the server refused: libcurl tells of the talk only, line by line.
struct MailTalk {
  size_t recipients = 0;                          // named so far
  bool asked = false;                             // the next answer is about the last of them
  std::vector<std::pair<size_t, int>> refused{};  // by their number, with the status
};

int on_mail_talk(CURL*, curl_infotype type, char* data, size_t size, void* context) {
  auto& talk = *static_cast<MailTalk*>(context);
  std::string_view line(data, size);
  if (type == CURLINFO_HEADER_OUT) {
    talk.asked = line.starts_with("RCPT TO:");
    talk.recipients += talk.asked ? 1 : 0;
  }
  if (type != CURLINFO_HEADER_IN || !talk.asked || line.size() < 4 || line[3] == '-') return 0;
  talk.asked = false;
  int status = 0;
  std::from_chars(line.data(), line.data() + 3, status);
  if (status < 200 || status > 299) talk.refused.emplace_back(talk.recipients - 1, status);
  return 0;
}

class CurlMail final : public MailTransport {
 public:
  explicit CurlMail(SmtpSettings settings) : settings_(std::move(settings)) {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (started != CURLE_OK) throw Error(ErrorCode::internal, "libcurl could not be started");
  }

  std::vector<std::string> send(const MailEnvelope& envelope,
                                const DeliveryBudget& budget) override {
    budget.check();
    Upload upload{envelope.data, settings_.stop};
    easy_.reset(curl_easy_init());  // one connection a mail: servers drop idle ones
    if (!easy_) throw std::bad_alloc();
    set_server(budget);
    std::string from = "<" + envelope.from + ">";
    set(CURLOPT_MAIL_FROM, from.c_str());
    std::unique_ptr<curl_slist, MailListDeleter> to;
    for (const std::string& address : envelope.to) {
      curl_slist* longer = curl_slist_append(to.get(), ("<" + address + ">").c_str());
      if (longer == nullptr) throw std::bad_alloc();
      (void)to.release();
      to.reset(longer);
    }
    set(CURLOPT_MAIL_RCPT, to.get());
    set(kRecipientsMayFail, 1L);  // one that is refused keeps nobody else from being told
    MailTalk talk;
    set(CURLOPT_VERBOSE, 1L);  // to the function alone
    set(CURLOPT_DEBUGFUNCTION, on_mail_talk);
    set(CURLOPT_DEBUGDATA, static_cast<void*>(&talk));
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_READFUNCTION, on_mail_read);
    set(CURLOPT_READDATA, static_cast<void*>(&upload));
    set(CURLOPT_WRITEFUNCTION, on_mail_answer);
    set(CURLOPT_XFERINFOFUNCTION, on_mail_progress);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(&upload));
    set(CURLOPT_NOPROGRESS, 0L);
    CURLcode code = curl_easy_perform(easy_.get());
    if (code != CURLE_OK) throw failure(code);
    std::vector<std::string> refused;
    for (const auto& [recipient, status] : talk.refused)
      if (recipient < envelope.to.size())
        refused.push_back(fmt::format("{} ({})", envelope.to[recipient], status));
    return refused;
  }

 private:
  template <typename Value>
  void set(CURLoption option, Value value) {
    CURLcode code = curl_easy_setopt(easy_.get(), option, value);
    if (code != CURLE_OK)
      throw Error(ErrorCode::internal, fmt::format("this libcurl cannot send mail as needed ({})",
                                                   curl_easy_strerror(code)));
  }

  void set_server(const DeliveryBudget& budget) {
    std::string url =
        fmt::format("{}://{}:{}/holdfast", settings_.tls_from_start ? "smtps" : "smtp",
                    settings_.host, settings_.port);
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    set(CURLOPT_PROXY, "");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_USE_SSL,
        static_cast<long>(settings_.tls_required ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    // Where TLS is only tried, on this machine, nobody can stand in between.
    bool verified = settings_.tls_required || settings_.tls_from_start;
    set(CURLOPT_SSL_VERIFYPEER, verified ? 1L : 0L);
    set(CURLOPT_SSL_VERIFYHOST, verified ? 2L : 0L);
    if (!settings_.ca_file.empty()) set(CURLOPT_CAINFO, settings_.ca_file.c_str());
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(budget.left_ms()));
    // The wait for the answer to the mail itself knows this limit only (libcurl 7.88, in seconds).
    set(CURLOPT_SERVER_RESPONSE_TIMEOUT, (budget.left_ms() + 999L) / 1000L);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min(kConnectMsMax, budget.left_ms())));
    if (!settings_.login.empty()) {
      set(CURLOPT_USERNAME, settings_.login.c_str());
      set(CURLOPT_PASSWORD, settings_.password.reveal().c_str());
    }
  }

  Error failure(CURLcode code) {
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    std::string where = fmt::format("mail server {}", settings_.host);
    switch (code) {
      case CURLE_ABORTED_BY_CALLBACK:
        return Error(ErrorCode::cancelled, "interrupted");
      case CURLE_LOGIN_DENIED:
        return Error(ErrorCode::denied, where + " refused the login",
                     "see smtp_url's login and smtp_password_file");
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_ISSUER_ERROR:
        return Error(
            ErrorCode::denied, where + " could not prove who it is",
            "correct smtp_url, or name the authority that signed its certificate: smtp_ca_file");
      case CURLE_USE_SSL_FAILED:
        return Error(ErrorCode::denied, where + " offers no TLS",
                     "mail leaves this machine only encrypted: use another port or server");
      default:
        break;
    }
    if (status >= 500 && status < 600)
      return Error(ErrorCode::invalid, fmt::format("{} refused the mail ({})", where, status),
                   "see mail_from and mail_to");
    if (status >= 400 && status < 500)
      return Error(ErrorCode::unavailable,
                   fmt::format("{} refused the mail for now ({})", where, status),
                   "see the mail server's log if that lasts");
    return Error(ErrorCode::unavailable, fmt::format("{}: {}", where, curl_easy_strerror(code)),
                 "see that smtp_url is right and reachable from here");
  }

  const SmtpSettings settings_;
  std::unique_ptr<CURL, MailEasyDeleter> easy_;
};

}  // namespace

SmtpSettings parse_smtp_url(const Secret& url) {
  std::string_view text = url.reveal();
  SmtpSettings settings;
  settings.tls_from_start = text.starts_with("smtps://");
  if (!settings.tls_from_start && !text.starts_with("smtp://"))
    throw wrong_smtp("begins with neither smtp:// nor smtps://");
  text.remove_prefix(text.find("://") + 3);
  if (size_t at = text.rfind('@'); at != std::string_view::npos) {
    std::string_view userinfo = text.substr(0, at);
    size_t colon = userinfo.find(':');
    settings.login = percent_decoded(userinfo.substr(0, colon));
    if (colon != std::string_view::npos)
      settings.password = Secret(percent_decoded(userinfo.substr(colon + 1)));
    text.remove_prefix(at + 1);
  }
  if (text.ends_with("/")) text.remove_suffix(1);
  settings.port = settings.tls_from_start ? kSubmissionsPort : kSubmissionPort;
  size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && text.find(']', colon) == std::string_view::npos) {
    std::string_view digits = text.substr(colon + 1);
    auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), settings.port);
    if (error != std::errc() || end != digits.data() + digits.size() || settings.port < 1 ||
        settings.port > 65535)
      throw wrong_smtp("has a port that is none");
    text = text.substr(0, colon);
  }
  settings.host = std::string(text);
  bool good = !text.empty();
  for (char c : text)
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    std::string_view("-._:[]").find(c) != std::string_view::npos);
  if (!good) throw wrong_smtp("names no host");
  std::string bare = settings.host;
  if (bare.starts_with("[") && bare.ends_with("]")) bare = bare.substr(1, bare.size() - 2);
  settings.tls_required = !is_loopback(bare);
  return settings;
}

std::unique_ptr<MailTransport> make_curl_mail(SmtpSettings settings) {
  return std::make_unique<CurlMail>(std::move(settings));
}

}  // namespace holdfast
