#include "store/aws_profile.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"
#include "store/aws_answers.h"

namespace holdfast {
namespace {

TEST(AwsFile, SectionsAndOptions) {
  AwsSections found = parse_aws_file(
      "\xEF\xBB\xBF# made by hand\r\n"
      "[default]\r\n"
      "Region = eu-west-1 # Ireland\r\n"
      "\n"
      "  [ profile   'care team' ] ; not one: indented, and no option above\n"
      "[ profile \t \"care team\" ] ; one\n"
      "aws_secret_access_key=a=b#c\n"
      "s3 =\n"
      "  addressing_style = path\n"
      "\tendpoint_url = http://localhost:9000 ; near\n"
      "empty =\n"
      "[default]\n"
      "region=us-west-2\n",
      "f");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found["default"]["region"], "us-west-2");
  AwsSection& care = found["profile care team"];
  EXPECT_EQ(care["aws_secret_access_key"], "a=b#c");
  EXPECT_EQ(care["s3.addressing_style"], "path");
  EXPECT_EQ(care["s3.endpoint_url"], "http://localhost:9000");
  EXPECT_EQ(care["empty"], "");
}

TEST(AwsFile, MistakesAreNamedByTheirLineOnly) {
  for (const char* text : {"key = hush\n", "[a]\nhush\n", "[a]\n= hush\n", "[hush\n", "[]\n"}) {
    try {
      parse_aws_file(text, "the-file");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid);
      EXPECT_EQ(std::string(error.what()).find("the-file:"), 0u);
      EXPECT_EQ(std::string(error.what()).find("hush"), std::string::npos);
    }
  }
}

TEST(AwsProfiles, TheConfigFileSaysProfile) {
  AwsProfiles profiles =
      AwsProfiles::of({{"default", {{"region", "r"}}}, {"a", {{"x", "1"}}}, {"profile b", {}}},
                      {{"c", {{"x", "2"}}}});
  EXPECT_EQ(profiles.names(), (std::vector<std::string>{"b", "c", "default"}));
  EXPECT_FALSE(profiles.find("a").has_value());
}

TEST(AwsDefaults, VariablesGoBeforeTheProfile) {
  EXPECT_EQ(aws_defaults({{"AWS_DEFAULT_REGION", "b"}}).region, "b");
  EXPECT_EQ(aws_defaults({{"AWS_DEFAULT_REGION", "b"}, {"AWS_REGION", "a"}}).region, "a");
  EXPECT_EQ(aws_defaults({{"AWS_ENDPOINT_URL", "b"}, {"AWS_ENDPOINT_URL_S3", "a"}}).endpoint, "a");
  EXPECT_EQ(aws_defaults({}).region, "");
}

TEST(AwsAnswers, ExpiryInEveryFormThatIsUsed) {
  UtcTime time = parse_rfc3339("2026-11-23T05:00:00.000Z");
  for (const char* text :
       {"2026-11-23T05:00:00Z", "2026-11-23T05:00:00.123456Z", "2026-11-23T05:00:00+00:00",
        "2026-11-23T06:30:00+01:30", "2026-11-22T22:00:00.0-07:00"})
    EXPECT_EQ(parse_expiry(text, "s"), time) << text;
  for (const char* text :
       {"", "tomorrow", "2026-11-23T05:00:00", "2026-11-23T05:00:00.Z", "2026-11-23T05:00:00.1",
        "2026-13-23T05:00:00Z", "2026-11-23T05:00:00+0100", "2026-11-23T05:00:00+0x:00"})
    EXPECT_ERROR(corrupt, parse_expiry(text, "s"));
}

}  // namespace
}  // namespace holdfast
