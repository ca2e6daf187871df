#include "store/sigv4.h"

#include <gtest/gtest.h>

#include "seal/sha256.h"

namespace holdfast {
namespace {

const std::string kEmptySha256 = sha256_hex({});

std::string authorization_of(const SigningTarget& target, const AwsCredentials& credentials,
                             const char* time, HttpHeaders headers) {
  sign_request(target, credentials, parse_rfc3339(time), headers);
  EXPECT_EQ(headers.back().first, "authorization");
  return headers.back().second;
}

std::string signature_of(const std::string& authorization) {
  return authorization.substr(authorization.rfind('=') + 1);
}

// Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring
// Payload in a Single Chunk", its four examples.
class S3Examples : public testing::Test {
 protected:
  std::string sign(const char* method, const char* path, const HttpQuery& query,
                   const HttpHeaders& more, const std::string& payload_sha256) {
    HttpHeaders headers = more;
    headers.emplace_back("host", "examplebucket.s3.amazonaws.com");
    headers.emplace_back("x-amz-content-sha256", payload_sha256);
    SigningTarget target{method, uri_encode(path, true), encode_query(query), payload_sha256,
                         "us-east-1"};
    return authorization_of(target, credentials_, "2013-05-24T00:00:00.000Z", headers);
  }

  AwsCredentials credentials_{
      "AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), {}};
};

TEST_F(S3Examples, GetObjectRange) {
  EXPECT_EQ(sign("GET", "/test.txt", {}, {{"range", "bytes=0-9"}}, kEmptySha256),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST_F(S3Examples, PutObject) {
  EXPECT_EQ(signature_of(sign("PUT", "/test$file.text", {},
                              {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                               {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                              sha256_hex(as_bytes("Welcome to Amazon S3.")))),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST_F(S3Examples, GetBucketLifecycle) {
  EXPECT_EQ(signature_of(sign("GET", "/", {{"lifecycle", ""}}, {}, kEmptySha256)),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST_F(S3Examples, GetBucketList) {
  EXPECT_EQ(signature_of(sign("GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {}, kEmptySha256)),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

// AWS's "Signature Version 4 test suite" (aws-sig-v4-test-suite), by the names of its cases.
struct SuiteCase {
  const char* name;
  const char* method;
  HttpQuery query;
  HttpHeaders headers;
  std::string path = "/";
  const char* signature;
};

TEST(SigV4, TestSuite) {
  const std::string unreserved =
      "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const SuiteCase cases[] = {
      {"get-vanilla",
       "GET",
       {},
       {},
       "/",
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"post-vanilla",
       "POST",
       {},
       {},
       "/",
       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"get-vanilla-query-order-key",
       "GET",
       {{"Param1", "value2"}, {"Param1", "Value1"}},
       {},
       "/",
       "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
      {"get-vanilla-query-order-key-case",
       "GET",
       {{"Param2", "value2"}, {"Param1", "value1"}},
       {},
       "/",
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-query-order-value",
       "GET",
       {{"Param1", "value2"}, {"Param1", "value1"}},
       {},
       "/",
       "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
      {"get-vanilla-query-unreserved",
       "GET",
       {{unreserved, unreserved}},
       {},
       "/",
       "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
      {"get-header-value-trim",
       "GET",
       {},
       {{"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}},
       "/",
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"post-header-value-case",
       "POST",
       {},
       {{"my-header1", "VALUE1"}},
       "/",
       "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
  };
  AwsCredentials credentials{"AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), {}};
  for (const SuiteCase& test : cases) {
    HttpHeaders headers = test.headers;
    headers.emplace_back("host", "example.amazonaws.com");
    SigningTarget target{test.method,  test.path,   encode_query(test.query),
                         kEmptySha256, "us-east-1", "service"};
    EXPECT_EQ(
        signature_of(authorization_of(target, credentials, "2015-08-30T12:36:00.000Z", headers)),
        test.signature)
        << test.name;
  }
}

TEST(SigV4, TheTokenOfTemporaryCredentialsIsSentAndSigned) {
  AwsCredentials credentials{"AKIDEXAMPLE", Secret("secret"), Secret("token-of-the-hour")};
  SigningTarget target{"GET", "/", "", kEmptySha256, "us-east-1"};
  HttpHeaders headers{{"host", "example.amazonaws.com"}};
  sign_request(target, credentials, parse_rfc3339("2015-08-30T12:36:00.000Z"), headers);
  EXPECT_EQ(headers[2],
            (std::pair<std::string, std::string>("x-amz-security-token", "token-of-the-hour")));
  EXPECT_NE(headers[3].second.find("SignedHeaders=host;x-amz-date;x-amz-security-token,"),
            std::string::npos);
}

TEST(SigV4, PathsAndQueriesAreEncodedTheWayS3ReadsThem) {
  EXPECT_EQ(uri_encode("/b/a b+c%2F=@~größe", true), "/b/a%20b%2Bc%252F%3D%40~gr%C3%B6%C3%9Fe");
  EXPECT_EQ(uri_encode("a/b", false), "a%2Fb");
  EXPECT_EQ(encode_query({{"prefix", "a/b c"}, {"list-type", "2"}, {"uploads", ""}}),
            "list-type=2&prefix=a%2Fb%20c&uploads=");
}

}  // namespace
}  // namespace holdfast
