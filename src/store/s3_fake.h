// An S3 server in this process, behind the transport's seam (tests only): one bucket at
// http://fake.test/bucket, strict about what S3 is strict about, and faulty on demand.
//
// It derives every signature anew, from the request as it was sent and by code of its own; checks
// Content-MD5 and the payload's hash; keeps the rules of multipart uploads; pages its lists. A
// fault is planned for the Nth request from now. Thread-safe: one request at a time.
#pragma once

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"
#include "store/aws_credentials.h"
#include "store/http.h"

namespace holdfast {

enum class S3Fault {
  none,
  internal_error,  // 500
  slow_down,       // 503
  too_many,        // 429 with Retry-After: 7
  lost_before,     // no answer, nothing done
  lost_after,      // done, no answer
  cut_body,        // half of a GET's body; an upload arrives damaged
  wrong_etag,      // other bytes came than were sent; of a PUT nothing is kept
  keeps_damaged,   // PUT: other bytes were stored than sent, and the ETag says so
  expired_token,   // the credentials are no longer good
  error_in_200,    // CompleteMultipartUpload: 200, and in it an <Error>
};

class S3Fake final : public HttpTransport {
 public:
  static constexpr const char* kHost = "fake.test";

  // How this server is; set before it is used.
  size_t page_keys = 3;
  bool ignores_if_none_match = false;  // as old servers do
  bool refuses_if_none_match = false;  // 501, as others do
  bool denies_reading = false;         // rights to write only
  std::string region = "us-east-1";
  uint64_t part_bytes_min = 5 << 20;
  const Clock* clock = nullptr;
  AwsCredentials known{"AKIDFAKE", Secret("fake/secret"), {}};

  std::unique_ptr<HttpClient> connect() override { return std::make_unique<Client>(*this); }

  void plan(uint64_t nth, S3Fault fault) {
    std::lock_guard lock(mutex_);
    faults_[requests_ + nth] = fault;
  }
  void clear_plans() {
    std::lock_guard lock(mutex_);
    faults_.clear();
  }
  uint64_t requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  std::map<std::string, std::string> objects() const {
    std::lock_guard lock(mutex_);
    std::map<std::string, std::string> found;
    for (const auto& [key, object] : objects_) found[key] = object.bytes;
    return found;
  }
  HttpHeaders headers_of(const std::string& key) const {
    std::lock_guard lock(mutex_);
    return objects_.at(key).headers;
  }
  size_t uploads() const {
    std::lock_guard lock(mutex_);
    return uploads_.size();
  }
  // Behind the store's back.
  void put_object(const std::string& key, const std::string& bytes) {
    std::lock_guard lock(mutex_);
    objects_[key] = make_object(bytes, {});
  }
  std::vector<HttpRequest> seen() const {  // without bodies
    std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  struct Object {
    std::string bytes, etag;
    HttpHeaders headers;  // as they were asked for
    UtcTime modified{};
  };
  struct Upload {
    std::string key;
    HttpHeaders headers;
    UtcTime begun{};
    std::map<int, Object> parts;
  };
  struct Refusal {
    int status;
    std::string code, message;
    HttpHeaders headers{};
  };
  using Query = std::map<std::string, std::string>;

  class Client final : public HttpClient {
   public:
    explicit Client(S3Fake& fake) : fake_(fake) {}
    HttpResponse send(const HttpRequest& request) override { return fake_.answer(request); }

   private:
    S3Fake& fake_;
  };

  static std::string digest(const char* name, ByteView bytes) {
    std::string out(EVP_MAX_MD_SIZE, '\0');
    size_t size = 0;
    EVP_Q_digest(nullptr, name, nullptr, bytes.data(), bytes.size(),
                 reinterpret_cast<unsigned char*>(out.data()), &size);
    out.resize(size);
    return out;
  }
  static std::string hex(const std::string& bytes) { return to_hex(as_bytes(bytes)); }
  static std::string hmac(const std::string& key, const std::string& text) {
    std::string out(32, '\0');
    unsigned size = 32;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), as_bytes(text).data(), text.size(),
         reinterpret_cast<unsigned char*>(out.data()), &size);
    return out;
  }
  static std::string decode(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '%' && i + 2 < text.size()) {
        out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
      } else {
        out += text[i];
      }
    }
    return out;
  }
  // As S3 lists keys: like a form, but a slash stays.
  static std::string encode_key(const std::string& text) {
    std::string out;
    for (char c : text) {
      if (c == ' ')
        out += '+';
      else if (std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("-._/*", c))
        out += c;
      else
        out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
  }
  static std::string http_time(UtcTime time) {
    auto days = std::chrono::floor<std::chrono::days>(time);
    std::chrono::year_month_day date(days);
    const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    return fmt::format("Mon, {:02} {} {:04} {} GMT", static_cast<unsigned>(date.day()),
                       months[static_cast<unsigned>(date.month()) - 1],
                       static_cast<int>(date.year()), format_rfc3339(time).substr(11, 8));
  }
  static std::string header(const HttpHeaders& headers, std::string_view name) {
    for (const auto& [key, value] : headers)
      if (key == name) return value;
    return {};
  }

  Object make_object(std::string bytes, HttpHeaders headers) const {
    std::string etag = fmt::format("\"{}\"", hex(digest("MD5", as_bytes(bytes))));
    return {std::move(bytes), etag, std::move(headers),
            clock != nullptr ? clock->now() : SystemClock().now()};
  }

  // Signature Version 4, from the server's side.
  void check_signature(const HttpRequest& request, const std::string& path,
                       const std::string& query) const {
    std::string authorization = header(request.headers, "authorization");
    auto field = [&](const std::string& name) {
      size_t at = authorization.find(name + "=");
      if (at == std::string::npos) throw Refusal{403, "AccessDenied", "no " + name};
      at += name.size() + 1;
      return authorization.substr(at, authorization.find(',', at) - at);
    };
    std::vector<std::string> credential = split(field("Credential"), '/');
    if (credential.at(0) != known.access_key_id)
      throw Refusal{403, "InvalidAccessKeyId", "the key is not known"};
    if (credential.at(2) != region)
      throw Refusal{400,
                    "AuthorizationHeaderMalformed",
                    "the region is wrong",
                    {{"x-amz-bucket-region", region}}};
    std::string names = field("SignedHeaders"), lines;
    for (const std::string& name : split(names, ';'))
      lines += name + ":" + header(request.headers, name) + "\n";
    for (const auto& [name, value] : request.headers)
      if (name != "authorization" &&
          (";" + names + ";").find(";" + name + ";") == std::string::npos)
        throw Refusal{403, "AccessDenied", name + " is not signed"};
    std::string payload = header(request.headers, "x-amz-content-sha256");
    if (payload != hex(digest("SHA256", request.body)))
      throw Refusal{400, "XAmzContentSHA256Mismatch", "the body has another hash"};
    std::string canonical =
        request.method + "\n" + path + "\n" + query + "\n" + lines + "\n" + names + "\n" + payload;
    std::string scope = credential.at(1) + "/" + credential.at(2) + "/s3/aws4_request";
    std::string to_sign = "AWS4-HMAC-SHA256\n" + header(request.headers, "x-amz-date") + "\n" +
                          scope + "\n" + hex(digest("SHA256", as_bytes(canonical)));
    std::string key = "AWS4" + known.secret_access_key.reveal();
    for (const std::string& part :
         {credential.at(1), region, std::string("s3"), std::string("aws4_request")})
      key = hmac(key, part);
    if (field("Signature") != hex(hmac(key, to_sign)))
      throw Refusal{403, "SignatureDoesNotMatch", "the signature is wrong"};
    if (header(request.headers, "x-amz-security-token") != known.session_token.reveal())
      throw Refusal{400, "ExpiredToken", "the provided token has expired"};
  }

  HttpResponse answer(const HttpRequest& request) {
    std::lock_guard lock(mutex_);
    ++requests_;
    HttpRequest noted = request;
    noted.body = {};
    noted.into = {};
    seen_.push_back(std::move(noted));
    auto planned = faults_.find(requests_);
    S3Fault fault = planned == faults_.end() ? S3Fault::none : planned->second;
    if (fault == S3Fault::lost_before)
      throw Error(ErrorCode::unavailable, "fake.test: connection reset");
    HttpResponse response;
    try {
      response = work(request, fault);
    } catch (const Refusal& refusal) {
      response.status = refusal.status;
      response.headers = refusal.headers;
      if (request.method != "HEAD")
        response.body = fmt::format(
            "<?xml version=\"1.0\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
            refusal.code, refusal.message);
    }
    if (fault == S3Fault::lost_after)
      throw Error(ErrorCode::unavailable, "fake.test: connection reset");
    return deliver(request, std::move(response), fault);
  }

  static HttpResponse deliver(const HttpRequest& request, HttpResponse response, S3Fault fault) {
    bool good = response.status >= 200 && response.status < 300;
    if (fault == S3Fault::cut_body && request.method == "GET")
      response.body.resize(response.body.size() / 2);
    if (good && !request.into.empty()) {
      if (response.body.size() > request.into.size())
        throw Error(ErrorCode::unavailable, "fake.test sent a longer answer than was asked for");
      std::copy(response.body.begin(), response.body.end(), request.into.begin());
      response.into_bytes = response.body.size();
      response.body.clear();
    }
    return response;
  }

  HttpResponse work(const HttpRequest& request, S3Fault fault) {
    switch (fault) {
      case S3Fault::internal_error:
        throw Refusal{500, "InternalError", "please try again"};
      case S3Fault::slow_down:
        throw Refusal{503, "SlowDown", "reduce your request rate"};
      case S3Fault::too_many:
        throw Refusal{429, "TooManyRequests", "wait", {{"retry-after", "7"}}};
      case S3Fault::expired_token:
        throw Refusal{400, "ExpiredToken", "the token has expired"};
      default:
        break;
    }
    std::string origin = fmt::format("http://{}", kHost);
    if (!request.url.starts_with(origin)) throw Error(ErrorCode::unavailable, "no such host");
    std::string target = request.url.substr(origin.size());
    size_t mark = target.find('?');
    std::string path = target.substr(0, mark);
    std::string raw_query = mark == std::string::npos ? "" : target.substr(mark + 1);
    check_signature(request, path, raw_query);
    std::string md5 = header(request.headers, "content-md5");
    if (!md5.empty()) {
      std::string damaged(as_text(request.body));
      if (fault == S3Fault::cut_body) damaged.resize(damaged.size() / 2);
      char encoded[32] = "";
      std::string sum = digest("MD5", as_bytes(damaged));
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded),
                      reinterpret_cast<const unsigned char*>(sum.data()), 16);
      if (md5 != encoded) throw Refusal{400, "BadDigest", "the Content-MD5 does not match"};
    }
    Query query;
    for (const std::string& pair : split(raw_query, '&'))
      if (!pair.empty())
        query[decode(pair.substr(0, pair.find('=')))] = decode(pair.substr(pair.find('=') + 1));
    if (path == "/bucket") return work_on_bucket(request, query);
    if (!path.starts_with("/bucket/")) throw Refusal{404, "NoSuchBucket", "no such bucket"};
    return work_on_object(request, decode(path.substr(8)), query, fault);
  }

  HttpResponse work_on_bucket(const HttpRequest& request, Query& query) {
    if (request.method != "GET") throw Refusal{405, "MethodNotAllowed", "not on a bucket"};
    if (query.count("uploads") > 0) return list_uploads(query);
    if (query["list-type"] != "2") throw Refusal{400, "InvalidArgument", "list-type"};
    std::string items, next;
    size_t count = 0;
    auto object = objects_.upper_bound(query["continuation-token"]);
    for (; object != objects_.end(); ++object) {
      if (!object->first.starts_with(query["prefix"])) continue;
      if (count++ == page_keys) break;
      next = object->first;
      items += fmt::format(
          "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&quot;x&quot;</ETag>"
          "<Size>{}</Size></Contents>",
          encode_key(object->first), format_rfc3339(object->second.modified),
          object->second.bytes.size());
    }
    bool more = count > page_keys;
    std::string token =
        more ? fmt::format("<NextContinuationToken>{}</NextContinuationToken>", escape(next)) : "";
    return {
        200,
        {},
        fmt::format(
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            "<EncodingType>url</EncodingType><IsTruncated>{}</IsTruncated>{}{}</ListBucketResult>",
            more, items, token)};
  }
  static std::string escape(const std::string& text) {
    std::string out;
    for (char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
    return out;
  }

  HttpResponse list_uploads(Query& query) {
    std::vector<std::tuple<std::string, std::string, UtcTime>> sorted;
    for (const auto& [id, upload] : uploads_)
      if (upload.key.starts_with(query["prefix"]))
        sorted.emplace_back(upload.key, id, upload.begun);
    std::sort(sorted.begin(), sorted.end());
    std::string items, last_key, last_id;
    size_t count = 0;
    for (const auto& [key, id, begun] : sorted) {
      if (std::tie(key, id) <= std::tie(query["key-marker"], query["upload-id-marker"])) continue;
      if (count++ == page_keys) break;
      last_key = key;
      last_id = id;
      items += fmt::format(
          "<Upload><Key>{}</Key><UploadId>{}</UploadId><Initiated>{}</Initiated></Upload>",
          encode_key(key), id, format_rfc3339(begun));
    }
    return {
        200,
        {},
        fmt::format("<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>{}</"
                    "IsTruncated>"
                    "<NextKeyMarker>{}</NextKeyMarker><NextUploadIdMarker>{}</NextUploadIdMarker>{}"
                    "</ListMultipartUploadsResult>",
                    count > page_keys, encode_key(last_key), last_id, items)};
  }

  HttpResponse work_on_object(const HttpRequest& request, const std::string& key, Query& query,
                              S3Fault fault) {
    const std::string& method = request.method;
    if (method == "GET" || method == "HEAD") return read_object(request, key);
    if (method == "POST" && query.count("uploads") > 0) {
      std::string id = fmt::format("upload-{}", ++last_upload_);
      uploads_[id] = {key, request.headers, make_object("", {}).modified, {}};
      return {200,
              {},
              fmt::format("<InitiateMultipartUploadResult><UploadId>{}</UploadId>"
                          "</InitiateMultipartUploadResult>",
                          id)};
    }
    if (query.count("uploadId") > 0) {
      auto upload = uploads_.find(query["uploadId"]);
      if (upload == uploads_.end() || upload->second.key != key)
        throw Refusal{404, "NoSuchUpload", "the upload does not exist"};
      if (method == "PUT") return put_part(request, upload->second, query, fault);
      if (method == "POST") return complete(request, upload->first, fault);
      uploads_.erase(upload);
      return {204, {}, ""};
    }
    if (method == "DELETE") {
      objects_.erase(key);
      return {204, {}, ""};
    }
    if (method != "PUT") throw Refusal{405, "MethodNotAllowed", "not on an object"};
    check_create_only(request, key);
    check_lock(request);
    Object object = make_object(std::string(as_text(request.body)), request.headers);
    if (fault == S3Fault::keeps_damaged && !object.bytes.empty())
      object = make_object(object.bytes.substr(1), request.headers);
    if (fault == S3Fault::wrong_etag) return {200, {{"etag", damaged(object.etag)}}, ""};
    objects_[key] = object;
    return {200, {{"etag", object.etag}}, ""};
  }
  static std::string damaged(std::string etag) {
    etag[1] = etag[1] == '0' ? '1' : '0';
    return etag;
  }

  HttpResponse read_object(const HttpRequest& request, const std::string& key) {
    if (denies_reading) throw Refusal{403, "AccessDenied", "access denied"};
    auto found = objects_.find(key);
    if (found == objects_.end()) throw Refusal{404, "NoSuchKey", "the key does not exist"};
    const Object& object = found->second;
    std::string match = header(request.headers, "if-match");
    if (!match.empty() && match != object.etag)
      throw Refusal{412, "PreconditionFailed", "it has another ETag"};
    HttpResponse response{
        200, {{"etag", object.etag}, {"last-modified", http_time(object.modified)}}, object.bytes};
    for (const auto& [name, value] : object.headers)
      if (name.starts_with("x-amz-meta-") || name.starts_with("x-amz-object-lock"))
        response.headers.emplace_back(name, value);
    std::string range = header(request.headers, "range");
    if (!range.empty()) {
      size_t first = std::stoull(range.substr(6)),
             last = std::stoull(range.substr(range.find('-') + 1));
      if (first >= object.bytes.size()) throw Refusal{416, "InvalidRange", "not satisfiable"};
      last = std::min(last, object.bytes.size() - 1);
      response.status = 206;
      response.headers.emplace_back(
          "content-range", fmt::format("bytes {}-{}/{}", first, last, object.bytes.size()));
      response.body = object.bytes.substr(first, last - first + 1);
    }
    response.headers.emplace_back("content-length", std::to_string(response.body.size()));
    if (request.method == "HEAD") response.body.clear();
    return response;
  }

  HttpResponse put_part(const HttpRequest& request, Upload& upload, Query& query, S3Fault fault) {
    int number = std::stoi(query["partNumber"]);
    if (number < 1 || number > 10'000) throw Refusal{400, "InvalidArgument", "partNumber"};
    Object part = make_object(std::string(as_text(request.body)), {});
    if (fault == S3Fault::wrong_etag) part.etag = damaged(part.etag);
    upload.parts[number] = part;
    return {200, {{"etag", part.etag}}, ""};
  }

  HttpResponse complete(const HttpRequest& request, const std::string& id, S3Fault fault) {
    if (fault == S3Fault::error_in_200)
      return {200, {}, "<Error><Code>InternalError</Code><Message>again</Message></Error>"};
    Upload& upload = uploads_.at(id);
    check_create_only(request, upload.key);
    std::string expected =
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    std::string bytes;
    for (const auto& [number, part] : upload.parts) {
      std::string etag = part.etag.substr(1, part.etag.size() - 2);
      expected += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>&quot;{}&quot;</ETag></Part>",
                              number, etag);
      if (number != upload.parts.rbegin()->first && part.bytes.size() < part_bytes_min)
        throw Refusal{400, "EntityTooSmall", "a part is too small"};
      bytes += part.bytes;
    }
    if (upload.parts.empty() || as_text(request.body) != expected + "</CompleteMultipartUpload>")
      throw Refusal{400, "InvalidPart", "the parts are not those that were uploaded"};
    Object object = make_object(bytes, upload.headers);
    object.etag = fmt::format("\"{}-{}\"", object.etag.substr(1, 32), upload.parts.size());
    objects_[upload.key] = object;
    uploads_.erase(id);
    return {
        200, {}, "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"};
  }

  void check_create_only(const HttpRequest& request, const std::string& key) const {
    if (header(request.headers, "if-none-match").empty() || ignores_if_none_match) return;
    if (refuses_if_none_match) throw Refusal{501, "NotImplemented", "a header is not implemented"};
    if (objects_.count(key) > 0) throw Refusal{412, "PreconditionFailed", "it exists"};
  }
  static void check_lock(const HttpRequest& request) {
    if (!header(request.headers, "x-amz-object-lock-mode").empty() &&
        header(request.headers, "content-md5").empty())
      throw Refusal{400, "InvalidRequest", "Content-MD5 is required with Object Lock"};
  }

  mutable std::mutex mutex_;
  // All below: guarded by mutex_.
  uint64_t requests_ = 0, last_upload_ = 0;
  std::map<uint64_t, S3Fault> faults_;
  std::map<std::string, Object> objects_;
  std::map<std::string, Upload> uploads_;
  std::vector<HttpRequest> seen_;
};

}  // namespace holdfast
