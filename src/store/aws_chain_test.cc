#include "store/aws_chain.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "base/expect_error.h"
#include "base/file.h"

namespace holdfast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// Answers what was laid out for an address, in turn; the last one again and again. Where nothing
// was laid out, nobody is there.
class FakeServices final : public HttpTransport {
 public:
  struct Seen {
    std::string method, url, body;
    HttpHeaders headers;
    std::string header(std::string_view name) const {
      for (const auto& [key, value] : headers)
        if (key == name) return value;
      return {};
    }
  };

  // Status 0: no answer.
  void at(const std::string& method_and_url, int status, const std::string& body) {
    std::lock_guard lock(mutex_);
    answers_[method_and_url].push_back({status, body});
  }
  void replace(const std::string& method_and_url, int status, const std::string& body) {
    std::lock_guard lock(mutex_);
    answers_[method_and_url] = {{status, body}};
  }
  std::vector<Seen> seen() const {
    std::lock_guard lock(mutex_);
    return seen_;
  }
  std::unique_ptr<HttpClient> connect() override { return std::make_unique<Client>(*this); }

 private:
  class Client final : public HttpClient {
   public:
    explicit Client(FakeServices& services) : services_(services) {}
    HttpResponse send(const HttpRequest& request) override { return services_.answer(request); }

   private:
    FakeServices& services_;
  };

  HttpResponse answer(const HttpRequest& request) {
    std::lock_guard lock(mutex_);
    seen_.push_back(
        {request.method, request.url, std::string(as_text(request.body)), request.headers});
    auto found = answers_.find(request.method + " " + request.url);
    if (found == answers_.end()) throw Error(ErrorCode::unavailable, "no route");
    auto [status, body] = found->second.front();
    if (found->second.size() > 1) found->second.pop_front();
    if (status == 0) throw Error(ErrorCode::unavailable, "connection reset");
    HttpResponse response;
    response.status = status;
    response.body = body;
    return response;
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::deque<std::pair<int, std::string>>> answers_;
  std::vector<Seen> seen_;
};

const UtcTime kNow = parse_rfc3339("2026-11-23T05:00:00.000Z");

std::string json_keys(const std::string& id, UtcTime expires) {
  return fmt::format(R"({{"Code": "Success", "AccessKeyId": "{}", "SecretAccessKey": "hush-{}",)"
                     R"( "Token": "token-{}", "Expiration": "{}"}})",
                     id, id, id, format_rfc3339(expires).substr(0, 19) + "Z");
}

std::string sts_keys(const std::string& action, const std::string& id, UtcTime expires) {
  return fmt::format(
      R"(<{0}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{0}Result>)"
      "<Credentials><AccessKeyId>{1}</AccessKeyId><SecretAccessKey>hush-{1}</SecretAccessKey>"
      "<SessionToken>token-{1}</SessionToken><Expiration>{2}</Expiration></Credentials>"
      "</{0}Result></{0}Response>",
      action, id, format_rfc3339(expires));
}

std::string sts_refusal(const std::string& code, const std::string& message) {
  return fmt::format(
      "<ErrorResponse><Error><Code>{}</Code><Message>{}</Message></Error></ErrorResponse>", code,
      message);
}

const std::string kSts = "POST https://sts.eu-west-1.amazonaws.com/";
const std::string kMetadata = "http://169.254.169.254/latest/";

class AwsChain : public testing::Test {
 protected:
  AwsChain() {
    options.pause = [](std::chrono::milliseconds) {};
  }

  void file(const std::string& name, const std::string& content) {
    make_folders(folder.path() + "/.aws");
    write_file_atomic(folder.path() + "/.aws/" + name, content);
  }
  CredentialSource& source() {
    options.environment.insert({"HOME", folder.path()});
    if (!source_) source_ = make_aws_credentials(options, services, clock);
    return *source_;
  }
  std::string id() { return source().get().access_key_id; }
  Error failure() {
    try {
      source().get();
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorCode::internal, "nothing was thrown");
  }

  TempFolder folder{"hf-aws-test"};
  ManualClock clock{kNow};
  FakeServices services;
  AwsChainOptions options;

 private:
  std::unique_ptr<CredentialSource> source_;
};

TEST_F(AwsChain, KeysOfTheEnvironment) {
  options.environment = {{"AWS_ACCESS_KEY_ID", "AKIAENV"},
                         {"AWS_SECRET_ACCESS_KEY", "hush\n"},
                         {"AWS_SESSION_TOKEN", "token"},
                         {"AWS_PROFILE", "other"}};
  AwsCredentials found = source().get();
  EXPECT_EQ(found.access_key_id, "AKIAENV");
  EXPECT_EQ(found.secret_access_key.reveal(), "hush");
  EXPECT_EQ(found.session_token.reveal(), "token");
  EXPECT_FALSE(found.expires.has_value());
  EXPECT_TRUE(services.seen().empty());
}

TEST_F(AwsChain, HalfAKeyIsAMistake) {
  options.environment = {{"AWS_ACCESS_KEY_ID", "AKIAENV"}};
  EXPECT_EQ(failure().code(), ErrorCode::invalid);
  EXPECT_NE(std::string(failure().what()).find("AWS_SECRET_ACCESS_KEY"), std::string::npos);
}

TEST_F(AwsChain, AProfileOfTheOptionGoesBeforeTheEnvironment) {
  options.environment = {{"AWS_ACCESS_KEY_ID", "AKIAENV"}, {"AWS_SECRET_ACCESS_KEY", "x"}};
  options.profile = "care team";
  file("config", "[profile \"care team\"]\naws_access_key_id=AKIAPROF\naws_secret_access_key=y\n");
  EXPECT_EQ(id(), "AKIAPROF");
}

TEST_F(AwsChain, TheCredentialsFileGoesBeforeTheConfigFile) {
  options.environment = {{"AWS_PROFILE", "a"}};
  file("config", "[profile a]\nregion = eu-west-1\naws_access_key_id=OLD\n[a]\nregion=wrong\n");
  file("credentials",
       "[a]\naws_access_key_id = AKIANEW # mine\naws_secret_access_key = se#cr;et\n");
  AwsCredentials found = source().get();
  EXPECT_EQ(found.access_key_id, "AKIANEW");
  EXPECT_EQ(found.secret_access_key.reveal(), "se#cr;et");
  EXPECT_EQ(aws_defaults(options.environment).region, "eu-west-1");
}

TEST_F(AwsChain, FilesElsewhere) {
  write_file_atomic(folder.path() + "/c", "[profile a]\nrole_arn=arn:r\nsource_profile=b\n");
  write_file_atomic(folder.path() + "/k", "[b]\naws_access_key_id=K\naws_secret_access_key=s\n");
  options.environment = {{"AWS_CONFIG_FILE", folder.path() + "/c"},
                         {"AWS_SHARED_CREDENTIALS_FILE", "~/k"},
                         {"AWS_PROFILE", "a"},
                         {"AWS_REGION", "eu-west-1"}};
  services.at(kSts, 200, sts_keys("AssumeRole", "ASIAROLE", kNow + hours(1)));
  EXPECT_EQ(id(), "ASIAROLE");
  FakeServices::Seen seen = services.seen().at(0);
  EXPECT_NE(seen.body.find("Action=AssumeRole&"), std::string::npos);
  EXPECT_NE(seen.body.find("RoleArn=arn%3Ar"), std::string::npos);
  EXPECT_NE(seen.header("authorization").find("Credential=K/20261123/eu-west-1/sts/aws4_request"),
            std::string::npos);
}

TEST_F(AwsChain, AMissingProfileIsNamed) {
  options.environment = {{"AWS_PROFILE", "nobody"}};
  Error error = failure();
  EXPECT_EQ(error.code(), ErrorCode::denied);
  EXPECT_NE(std::string(error.what()).find("nobody"), std::string::npos);
  EXPECT_NE(std::string(error.what()).find("/.aws/config"), std::string::npos);
}

TEST_F(AwsChain, ARoleThatLeadsBackToItself) {
  options.environment = {{"AWS_PROFILE", "a"}};
  file("config",
       "[profile a]\nrole_arn=r\nsource_profile=b\n[profile b]\nrole_arn=r\nsource_profile=a\n");
  EXPECT_EQ(failure().code(), ErrorCode::invalid);
}

TEST_F(AwsChain, ARoleByTheProfilesOwnKeys) {
  options.environment = {{"AWS_PROFILE", "a"}};
  options.region = "eu-west-1";
  file("config",
       "[profile a]\nrole_arn=r\nsource_profile=a\nexternal_id=e 1\naws_access_key_id=K\n"
       "aws_secret_access_key=s\n");
  services.at(kSts, 200, sts_keys("AssumeRole", "ASIAROLE", kNow + hours(1)));
  EXPECT_EQ(id(), "ASIAROLE");
  EXPECT_NE(services.seen().at(0).body.find("ExternalId=e%201"), std::string::npos);
}

TEST_F(AwsChain, WebIdentity) {
  std::string token = folder.path() + "/token";
  write_file_atomic(token, "a.b.c\n");
  options.environment = {{"AWS_WEB_IDENTITY_TOKEN_FILE", token},
                         {"AWS_ROLE_ARN", "arn:aws:iam::1:role/backup"},
                         {"AWS_REGION", "eu-west-1"}};
  services.at(kSts, 503, "");
  services.at(kSts, 0, "");
  services.at(kSts, 200, sts_keys("AssumeRoleWithWebIdentity", "ASIAWEB", kNow + hours(1)));
  AwsCredentials found = source().get();
  EXPECT_EQ(found.access_key_id, "ASIAWEB");
  EXPECT_EQ(found.session_token.reveal(), "token-ASIAWEB");
  EXPECT_EQ(found.expires, kNow + hours(1));
  EXPECT_EQ(services.seen().size(), 3u);
  EXPECT_NE(services.seen().at(2).body.find("WebIdentityToken=a.b.c"), std::string::npos);
  EXPECT_EQ(services.seen().at(2).header("authorization"), "");
}

TEST_F(AwsChain, ARefusedWebIdentityIsNoReasonToTryTheNext) {
  std::string token = folder.path() + "/token";
  write_file_atomic(token, "very-secret-token");
  options.environment = {{"AWS_WEB_IDENTITY_TOKEN_FILE", token},
                         {"AWS_ROLE_ARN", "arn:r"},
                         {"AWS_REGION", "eu-west-1"}};
  file("credentials", "[default]\naws_access_key_id=K\naws_secret_access_key=s\n");
  services.at(kSts, 403, sts_refusal("AccessDenied", "Not authorized\nto assume"));
  Error error = failure();
  EXPECT_EQ(error.code(), ErrorCode::denied);
  std::string said = error.what();
  EXPECT_NE(said.find("AccessDenied (Not authorized to assume)"), std::string::npos) << said;
  EXPECT_EQ(said.find("very-secret"), std::string::npos);
}

TEST_F(AwsChain, ARefusedSignatureShowsNothingOfWhatWasSigned) {
  file("config",
       "[profile p]\nrole_arn = arn:r\nsource_profile = base\nregion = eu-west-1\n"
       "[profile base]\naws_access_key_id=K\naws_secret_access_key=s\naws_session_token=hush\n");
  options.environment = {{"AWS_PROFILE", "p"}};
  services.at(
      kSts, 403,
      sts_refusal("SignatureDoesNotMatch",
                  "The signature does not match. Check your key.\n\nThe Canonical String for "
                  "this request should have been\n'POST\nx-amz-security-token:hush'"));
  std::string said = failure().what();
  EXPECT_NE(said.find("SignatureDoesNotMatch (The signature does not match. Check your key.)"),
            std::string::npos)
      << said;
  EXPECT_EQ(said.find("hush"), std::string::npos) << said;
}

TEST_F(AwsChain, Container) {
  options.environment = {{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1"}};
  services.at("GET http://169.254.170.2/v2/credentials/1", 200,
              json_keys("ASIAECS", kNow + hours(6)));
  EXPECT_EQ(id(), "ASIAECS");
  EXPECT_EQ(services.seen().at(0).header("authorization"), "");
}

TEST_F(AwsChain, PodIdentity) {
  std::string token = folder.path() + "/token";
  write_file_atomic(token, "one\n");
  options.environment = {
      {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"},
      {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "not this one"},
      {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token}};
  services.at("GET http://169.254.170.23/v1/credentials", 200, json_keys("A1", kNow + hours(1)));
  services.at("GET http://169.254.170.23/v1/credentials", 200, json_keys("A2", kNow + hours(2)));
  EXPECT_EQ(id(), "A1");
  write_file_atomic(token, "two");
  clock.advance(minutes(56));
  EXPECT_EQ(id(), "A2");
  EXPECT_EQ(services.seen().at(0).header("authorization"), "one");
  EXPECT_EQ(services.seen().at(1).header("authorization"), "two");
}

TEST_F(AwsChain, ContainerCredentialsInTheClearAreRefused) {
  for (const char* url : {"http://example.org/c", "http://169.254.170.2.example.org/",
                          "http://localhost@example.org/", "ftp://localhost/"}) {
    AwsChainOptions elsewhere = options;
    elsewhere.environment = {{"HOME", folder.path()}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI", url}};
    EXPECT_ERROR(invalid, make_aws_credentials(elsewhere, services, clock)->get());
  }
  EXPECT_TRUE(services.seen().empty());
}

TEST_F(AwsChain, Instance) {
  services.at("PUT " + kMetadata + "api/token", 200, "session");
  services.at("GET " + kMetadata + "meta-data/iam/security-credentials/", 200, "backup role\n");
  services.at("GET " + kMetadata + "meta-data/iam/security-credentials/backup%20role", 200,
              json_keys("ASIAEC2", kNow + hours(6)));
  EXPECT_EQ(id(), "ASIAEC2");
  std::vector<FakeServices::Seen> seen = services.seen();
  EXPECT_EQ(seen.at(0).header("x-aws-ec2-metadata-token-ttl-seconds"), "21600");
  EXPECT_EQ(seen.at(1).header("x-aws-ec2-metadata-token"), "session");
  EXPECT_EQ(seen.at(2).header("x-aws-ec2-metadata-token"), "session");
}

TEST_F(AwsChain, NothingAnywhere) {
  Error error = failure();
  EXPECT_EQ(error.code(), ErrorCode::denied);
  std::string said = error.what();
  for (const char* place : {"AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "'default'",
                            "/.aws/credentials", "container", "instance"})
    EXPECT_NE(said.find(place), std::string::npos) << place << ": " << said;
  EXPECT_NE(error.hint(), "");
  EXPECT_EQ(services.seen().size(), 1u);  // one try: most machines have no such service
}

TEST_F(AwsChain, TheInstanceCanBeSwitchedOff) {
  options.environment = {{"AWS_EC2_METADATA_DISABLED", "true"}};
  EXPECT_EQ(failure().code(), ErrorCode::denied);
  EXPECT_TRUE(services.seen().empty());
}

TEST_F(AwsChain, CredentialProcess) {
  options.environment = {{"AWS_PROFILE", "p"}, {"PATH", "/usr/bin:/bin"}, {"WHO", "ASIAPROC"}};
  file("config",
       "[profile p]\ncredential_process = printf '{\"Version\": 1, \"AccessKeyId\": \"%s\", "
       "\"SecretAccessKey\": \"s\"}' \"$WHO\"\n");
  EXPECT_EQ(id(), "ASIAPROC");
}

TEST_F(AwsChain, AFailingCredentialProcessIsNamedWithoutItsOutput) {
  options.environment = {{"AWS_PROFILE", "p"}, {"PATH", "/usr/bin:/bin"}};
  file("config", "[profile p]\ncredential_process = echo hush-hush; echo hush-hush >&2; exit 3\n");
  Error error = failure();
  EXPECT_EQ(error.code(), ErrorCode::denied);
  EXPECT_NE(std::string(error.what()).find("code 3"), std::string::npos);
  EXPECT_EQ(std::string(error.what()).find("hush"), std::string::npos);
}

class AwsRefresh : public AwsChain {
 protected:
  AwsRefresh() {
    options.environment = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost:1/c"}};
    services.at(kUrl, 200, json_keys("A1", kNow + hours(1)));
  }
  const std::string kUrl = "GET http://localhost:1/c";
};

TEST_F(AwsRefresh, KeptUntilFiveMinutesBeforeTheEnd) {
  EXPECT_EQ(id(), "A1");
  clock.advance(minutes(54));
  EXPECT_EQ(id(), "A1");
  EXPECT_EQ(services.seen().size(), 1u);
  services.replace(kUrl, 200, json_keys("A2", kNow + hours(2)));
  clock.advance(minutes(1));
  EXPECT_EQ(id(), "A2");
  EXPECT_EQ(services.seen().size(), 2u);
}

TEST_F(AwsRefresh, WhatIsStillGoodGoesOnWhileTheServiceIsAway) {
  EXPECT_EQ(id(), "A1");
  services.replace(kUrl, 0, "");
  clock.advance(minutes(56));
  EXPECT_EQ(id(), "A1");
  size_t asked = services.seen().size();
  EXPECT_EQ(id(), "A1");
  EXPECT_EQ(services.seen().size(), asked);  // not again at once
  clock.advance(minutes(5));
  EXPECT_EQ(failure().code(), ErrorCode::unavailable);  // now they have expired
}

TEST_F(AwsRefresh, ForgottenOnesAreFetchedAnew) {
  EXPECT_EQ(id(), "A1");
  services.replace(kUrl, 200, json_keys("A2", kNow + hours(1)));
  source().forget();
  EXPECT_EQ(id(), "A2");
}

TEST_F(AwsRefresh, OnesThatLiveShorterThanFiveMinutesAreNotFetchedForEachRequest) {
  services.replace(kUrl, 200, json_keys("A1", kNow + minutes(3)));
  EXPECT_EQ(id(), "A1");
  clock.advance(seconds(20));
  EXPECT_EQ(id(), "A1");
  EXPECT_EQ(services.seen().size(), 1u);
}

TEST_F(AwsRefresh, ExpiredOnArrival) {
  services.replace(kUrl, 200, json_keys("A1", kNow));
  EXPECT_EQ(failure().code(), ErrorCode::denied);
}

TEST_F(AwsRefresh, ManyThreadsFetchOnce) {
  CredentialSource& shared = source();
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] { good += shared.get().access_key_id == "A1"; });
  }
  EXPECT_EQ(good, 8);
  EXPECT_EQ(services.seen().size(), 1u);
}

TEST_F(AwsRefresh, AnAnswerThatIsNoneIsAnError) {
  for (const char* body :
       {"", "[]", "{}", "<html>", R"({"AccessKeyId": "A"})",
        R"({"AccessKeyId": "A\nX: y", "SecretAccessKey": "s"})",
        R"({"AccessKeyId": 1, "SecretAccessKey": "s"})",
        R"({"AccessKeyId": "A", "SecretAccessKey": "s", "Expiration": "soon"})"}) {
    services.replace(kUrl, 200, body);
    EXPECT_EQ(failure().code(), ErrorCode::corrupt) << body;
  }
  services.replace(kUrl, 200, R"({"Code": "AssumeRoleUnauthorizedAccess"})");
  EXPECT_EQ(failure().code(), ErrorCode::denied);
}

}  // namespace
}  // namespace holdfast
