#include "store/s3_xml.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"

namespace holdfast {
namespace {

// From the S3 API reference's examples.
TEST(S3Xml, Errors) {
  std::optional<S3ErrorBody> error = parse_s3_error(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n  <Code>NoSuchKey</Code>\n"
      "  <Message>The resource\nyou requested does not exist</Message>\n"
      "  <Resource>/mybucket/myfoto.jpg</Resource>\n  <RequestId>4442587FB7D0A2F9</RequestId>\n"
      "</Error>");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, "NoSuchKey");
  EXPECT_EQ(error->message, "The resource you requested does not exist");
  EXPECT_EQ(parse_s3_error("<Error><Code>AuthorizationHeaderMalformed</Code>"
                           "<Region>eu-west-1</Region></Error>")
                ->region,
            "eu-west-1");
  EXPECT_FALSE(parse_s3_error(""));
  EXPECT_FALSE(parse_s3_error("<html><body>502 Bad Gateway</body></html>"));
  EXPECT_FALSE(parse_s3_error("<Error><Code>NoSuchKey</Code>"));
}

TEST(S3Xml, ErrorsAreFitForATerminal) {
  std::optional<S3ErrorBody> error = parse_s3_error("<Error><Code>X</Code><Message>a&#27;[31mb" +
                                                    std::string(5000, 'c') + "</Message></Error>");
  ASSERT_TRUE(error);
  EXPECT_TRUE(error->message.starts_with("a?[31mb"));
  EXPECT_LE(error->message.size(), 300u);
}

TEST(S3Xml, ObjectsAreReadAsTheirEncodingSays) {
  S3ObjectPage page = parse_s3_objects(
      "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
      "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
      "<NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</"
      "NextContinuationToken>"
      "<Contents><Key>a+b%2Bc%25%C3%BC</Key><LastModified>2009-10-12T17:50:30.999Z</LastModified>"
      "<Size>434234</Size></Contents></ListBucketResult>");
  ASSERT_EQ(page.objects.size(), 1u);
  EXPECT_EQ(page.objects[0].key, "a b+c%ü");
  EXPECT_EQ(page.objects[0].bytes, 434234u);
  EXPECT_EQ(format_rfc3339(page.objects[0].modified), "2009-10-12T17:50:30.000Z");
  EXPECT_EQ(page.next_token, "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=");

  page = parse_s3_objects(
      "<s3:ListBucketResult xmlns:s3=\"x\"><s3:Contents><s3:Key>a+b%2B &amp;</s3:Key>"
      "<s3:LastModified>2009-10-12T17:50:30Z</s3:LastModified><s3:Size>0</s3:Size></s3:Contents>"
      "<s3:IsTruncated>false</s3:IsTruncated></s3:ListBucketResult>");
  EXPECT_EQ(page.objects.at(0).key, "a+b%2B &");
  EXPECT_EQ(page.next_token, "");
}

TEST(S3Xml, WhatIsNotAListIsRefused) {
  for (const char* body :
       {"", "<html/>", "<ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated>"
        "</ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>1</Size><LastModified>now</LastModified>"
        "</Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>99999999999999999999</Size></Contents>"
        "</ListBucketResult>"})
    EXPECT_ERROR(corrupt, parse_s3_objects(body));
  EXPECT_ERROR(corrupt, parse_s3_upload_id("<InitiateMultipartUploadResult/>"));
}

TEST(S3Xml, Uploads) {
  S3UploadPage page = parse_s3_uploads(
      "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>"
      "<NextKeyMarker>my-movie.m2ts</NextKeyMarker><NextUploadIdMarker>id-2</NextUploadIdMarker>"
      "<Upload><Key>my-divisor</Key><UploadId>XMgbGlrZSBlbHZpbmc</UploadId>"
      "<Initiated>2010-11-10T20:48:33.000Z</Initiated></Upload></ListMultipartUploadsResult>");
  ASSERT_EQ(page.uploads.size(), 1u);
  EXPECT_EQ(page.uploads[0].id, "XMgbGlrZSBlbHZpbmc");
  EXPECT_FALSE(page.last);
  EXPECT_EQ(page.next_key, "my-movie.m2ts");
  EXPECT_EQ(page.next_id, "id-2");
}

TEST(S3Xml, Completion) {
  EXPECT_EQ(write_s3_completion({"\"a54357aff0632cce46d942af68356b38\"", "x&<"}),
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            "<Part><PartNumber>1</PartNumber>"
            "<ETag>&quot;a54357aff0632cce46d942af68356b38&quot;</ETag></Part>"
            "<Part><PartNumber>2</PartNumber><ETag>x&amp;&lt;</ETag></Part>"
            "</CompleteMultipartUpload>");
  EXPECT_TRUE(is_s3_completion("  <CompleteMultipartUploadResult xmlns=\"x\"/>"));
  EXPECT_FALSE(is_s3_completion("<Error/>"));
  EXPECT_FALSE(is_s3_completion(""));
}

TEST(S3Xml, HttpTimes) {
  EXPECT_EQ(format_rfc3339(parse_http_time("Wed, 12 Oct 2009 17:50:30 GMT").value()),
            "2009-10-12T17:50:30.000Z");
  for (const char* wrong : {"", "2009-10-12T17:50:30Z", "Wed, 12 Okt 2009 17:50:30 GMT",
                            "Wed, 32 Oct 2009 17:50:30 GMT", "Wed, 12 Oct 2009 17:50:30 CET"})
    EXPECT_FALSE(parse_http_time(wrong)) << wrong;
}

}  // namespace
}  // namespace holdfast
