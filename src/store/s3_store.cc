#include "store/s3_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "store/s3_bucket.h"
#include "store/s3_errors.h"
#include "store/s3_reader.h"
#include "store/s3_writer.h"

namespace holdfast {
namespace {

// A list that does not end is a server that repeats itself.
constexpr int kPagesMax = 100'000;

class S3Store final : public ObjectStore {
 public:
  S3Store(const S3Settings& settings, CredentialSource& credentials, HttpTransport& transport,
          const Clock& clock)
      : bucket_(settings, credentials, transport, clock) {}

  std::string location() const override { return bucket_.location(); }

  std::unique_ptr<ObjectWriter> put(const std::string& name, const PutOptions& options) override {
    return make_s3_writer(bucket_, name, options);
  }

  std::unique_ptr<ObjectReader> open(const std::string& name) override {
    return open_s3_object(bucket_, name);
  }

  ObjectInfo head(const std::string& name) override {
    std::optional<S3Found> found = bucket_.find(name);
    if (!found)
      throw Error(ErrorCode::not_found, fmt::format("{}: no such object", bucket_.shown(name)));
    return found->info;
  }

  std::vector<ObjectInfo> list(const std::string& prefix) override {
    std::vector<ObjectInfo> found;
    std::string token;
    for (int page = 0; page < kPagesMax; ++page) {
      S3ObjectPage objects = ask_for_objects(prefix, token);
      for (const S3Object& object : objects.objects)
        if (std::optional<std::string> name = bucket_.name_of(object.key))
          found.push_back({*name, object.bytes, object.modified});
      if (objects.next_token.empty()) {
        std::sort(found.begin(), found.end(),
                  [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
        return found;
      }
      if (objects.next_token == token) break;
      token = objects.next_token;
    }
    throw endless();
  }

  // A bucket with versions keeps what is removed, and lets a locked object seem removed: so the
  // lock is looked at here.
  void remove(const std::string& name) override {
    std::optional<S3Found> found;
    try {
      found = bucket_.find(name);
      if (!found) return;
    } catch (const Error& error) {
      // Without the right to look the server decides; what a stopped run leaves must go.
      if (error.code() != ErrorCode::denied && error.code() != ErrorCode::cancelled) throw;
    }
    if (found && found->info.locked_until && *found->info.locked_until > bucket_.clock().now())
      throw Error(ErrorCode::denied,
                  fmt::format("{} is locked until {}", bucket_.shown(name),
                              format_rfc3339(*found->info.locked_until)),
                  "Object Lock keeps it; remove it after that time");
    bucket_.remove(name);
  }

  void check_writable(uint64_t) override { try_s3_upload(bucket_); }

  size_t reap_unfinished(const LeftoverTest& may_clear) override {
    size_t count = 0;
    for (const S3Upload& upload : unfinished_uploads()) {
      std::optional<std::string> name = bucket_.name_of(upload.key);
      if (!name || !may_clear(*name, upload.begun)) continue;
      abort_s3_upload(bucket_, upload.key, upload.id);
      ++count;
    }
    return count;
  }

 private:
  S3ObjectPage ask_for_objects(const std::string& prefix, const std::string& token) {
    S3Request request;
    request.query = {
        {"list-type", "2"}, {"encoding-type", "url"}, {"prefix", bucket_.prefix() + prefix}};
    if (!token.empty()) request.query.emplace_back("continuation-token", token);
    S3ObjectPage page;
    request.check = [&](const HttpResponse& http) {
      return failure_of([&] { page = parse_s3_objects(http.body); });
    };
    S3Answer answer = bucket_.client().call(request);
    bucket_.client().require_ok(answer, fmt::format("list {}", bucket_.location()));
    return page;
  }

  // Half an answer is asked for again.
  template <typename Parse>
  static std::optional<Error> failure_of(Parse&& parse) {
    try {
      parse();
      return std::nullopt;
    } catch (const Error& error) {
      return error;
    }
  }

  // None where the server cannot list them: there its own expiry has to do (docs/format/store.md).
  std::vector<S3Upload> unfinished_uploads() {
    std::vector<S3Upload> found;
    std::string key, id;
    for (int number = 0; number < kPagesMax; ++number) {
      S3Request request;
      request.query = {{"uploads", ""}, {"encoding-type", "url"}, {"prefix", bucket_.prefix()}};
      if (!key.empty()) request.query.emplace_back("key-marker", key);
      if (!id.empty()) request.query.emplace_back("upload-id-marker", id);
      S3UploadPage page;
      request.check = [&](const HttpResponse& http) {
        return failure_of([&] { page = parse_s3_uploads(http.body); });
      };
      S3Answer answer = bucket_.client().call(request);
      if (s3_is_not_implemented(answer.http.status, answer.error)) return {};
      bucket_.client().require_ok(answer,
                                  fmt::format("list the uploads of {}", bucket_.location()));
      found.insert(found.end(), page.uploads.begin(), page.uploads.end());
      if (page.last) return found;
      if (page.next_key == key && page.next_id == id) break;
      key = page.next_key;
      id = page.next_id;
    }
    throw endless();
  }

  Error endless() const {
    return Error(ErrorCode::corrupt,
                 fmt::format("list {}: the server's list does not end", bucket_.location()),
                 "see that the endpoint is that of an S3 service");
  }

  S3Bucket bucket_;
};

}  // namespace

std::unique_ptr<ObjectStore> make_s3_store(const S3Settings& settings,
                                           CredentialSource& credentials, HttpTransport& transport,
                                           const Clock& clock) {
  return std::make_unique<S3Store>(settings, credentials, transport, clock);
}

}  // namespace holdfast
