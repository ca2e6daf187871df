// The store's contract against a real S3 server, over libcurl. Skipped unless one is named:
//   HOLDFAST_TEST_S3=http://127.0.0.1:9000/bucket (or https://…), AWS_ACCESS_KEY_ID,
//   AWS_SECRET_ACCESS_KEY, AWS_REGION
// It works under a prefix of its own and removes what it made.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"
#include "store/s3_store.h"
#include "store/store_contract.h"

namespace holdfast {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

class EnvironmentCredentials final : public CredentialSource {
 public:
  AwsCredentials get() override {
    return {variable("AWS_ACCESS_KEY_ID"), Secret(variable("AWS_SECRET_ACCESS_KEY")),
            Secret(variable("AWS_SESSION_TOKEN"))};
  }
  void forget() override {}
};

struct LiveServer {
  static bool missing() { return variable("HOLDFAST_TEST_S3").empty(); }

  LiveServer() {
    if (missing()) return;
    std::string url = variable("HOLDFAST_TEST_S3");
    S3Settings settings;
    settings.endpoint = url.substr(0, url.rfind('/'));
    settings.bucket = url.substr(url.rfind('/') + 1);
    if (!variable("AWS_REGION").empty()) settings.region = variable("AWS_REGION");
    settings.prefix = "holdfast-test/" + random_hex(8);
    s3 = make_s3_store(settings, credentials, *transport, clock);
  }
  ~LiveServer() {
    if (!s3) return;
    for (const ObjectInfo& object : s3->list("")) s3->remove(object.name);
    s3->reap_unfinished(clear_all);
  }
  ObjectStore& store() { return *s3; }

  SystemClock clock;
  EnvironmentCredentials credentials;
  std::unique_ptr<HttpTransport> transport = make_curl_transport();
  std::unique_ptr<ObjectStore> s3;
};

INSTANTIATE_TYPED_TEST_SUITE_P(S3Live, StoreContract, LiveServer);

// Longer than a page of any server, and larger than a part.
class S3LiveTest : public testing::Test {
 protected:
  void SetUp() override {
    if (LiveServer::missing()) GTEST_SKIP() << "no server is named for it";
  }
  LiveServer server_;
};

TEST_F(S3LiveTest, MoreKeysThanAPage) {
  std::vector<std::string> expected;
  for (int i = 0; i < 1050; ++i) expected.push_back(fmt::format("page ü+{:04}", i));
  std::vector<std::jthread> threads;
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (size_t i = t; i < expected.size(); i += 4)
        write_object(server_.store(), expected[i], as_bytes("x"));
    });
  threads.clear();
  std::vector<std::string> found;
  for (const ObjectInfo& object : server_.store().list("page")) found.push_back(object.name);
  EXPECT_EQ(found, expected);
}

TEST_F(S3LiveTest, ManyPartsComeBackInOrder) {
  std::string content = patterned_bytes(70'000'000);
  PutOptions options;
  options.bytes_expected = content.size();
  std::unique_ptr<ObjectWriter> writer = server_.store().put("large.dump", options);
  for (size_t at = 0; at < content.size(); at += 300'000)
    writer->write(as_bytes(std::string_view(content).substr(at, 300'000)));
  writer->commit();
  std::unique_ptr<ObjectReader> reader = server_.store().open("large.dump");
  std::string back(content.size(), '\0');
  for (size_t at = 0; at < back.size();)
    at += reader->read(at, reinterpret_cast<uint8_t*>(back.data()) + at, 1 << 20);
  EXPECT_TRUE(back == content);
}

}  // namespace
}  // namespace holdfast
