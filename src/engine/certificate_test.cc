#include "engine/certificate.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/expect_error.h"
#include "base/file.h"
#include "base/process.h"

namespace holdfast {
namespace {

constexpr uint64_t kBytesMax = 64 << 10;

class CertificateTest : public ::testing::Test {
 protected:
  Certificate ensure(const std::string& host = "db.example.org") {
    return ensure_certificate(folder.path(), host, clock);
  }
  std::string text_of(const Certificate& certificate) {
    ProcessOptions options;
    options.argv = {"/usr/bin/openssl",           "x509",   "-in",
                    certificate.certificate_file, "-noout", "-text"};
    return run_process(options).out;
  }

  TempFolder folder{"holdfast-certificate-test-"};
  ManualClock clock{parse_rfc3339("2026-11-10T12:00:00.000Z")};
};

TEST_F(CertificateTest, IsSelfSignedWithTheKeyAndNamesPromised) {
  Certificate made = ensure();
  EXPECT_TRUE(made.made);
  EXPECT_EQ(format_rfc3339(made.expires_at), "2036-11-07T12:00:00.000Z");
  std::string text = text_of(made);
  EXPECT_NE(text.find("NIST CURVE: P-256"), std::string::npos) << text;
  EXPECT_NE(text.find("DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, "
                      "DNS:db.example.org"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("TLS Web Server Authentication"), std::string::npos) << text;

  ProcessOptions verify;
  verify.argv = {"/usr/bin/openssl",    "verify",  "-CAfile",
                 made.certificate_file, "-attime", "1794312000",
                 made.certificate_file};
  EXPECT_EQ(run_process(verify).exit_code, 0);
  for (const std::string& file : {made.certificate_file, made.key_file}) {
    struct stat status {};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U) << file;
  }
}

TEST_F(CertificateTest, StaysUntilItNearsItsEnd) {
  Certificate first = ensure();
  std::string pem = read_file(first.certificate_file, kBytesMax);
  clock.advance(std::chrono::days{3600});
  Certificate second = ensure();
  EXPECT_FALSE(second.made);
  EXPECT_EQ(second.expires_at, first.expires_at);
  EXPECT_EQ(read_file(first.certificate_file, kBytesMax), pem);

  clock.advance(std::chrono::days{21});
  Certificate third = ensure();
  EXPECT_TRUE(third.made);
  EXPECT_GT(third.expires_at, first.expires_at);
  EXPECT_NE(read_file(first.certificate_file, kBytesMax), pem);
}

TEST_F(CertificateTest, IsMadeAnewForAnotherHostAndForAPairThatDoesNotMatch) {
  Certificate first = ensure("127.0.0.1");
  EXPECT_FALSE(ensure("localhost").made);
  EXPECT_TRUE(ensure("10.1.2.3").made);
  EXPECT_NE(text_of(first).find("IP Address:10.1.2.3"), std::string::npos);

  std::string key = read_file(first.key_file, kBytesMax);
  ensure("2001:db8::7");
  write_file_atomic(first.key_file, key);  // as if the program had died between the two files
  EXPECT_TRUE(ensure("2001:db8::7").made);
  write_file_atomic(first.certificate_file, "no certificate\n");
  EXPECT_TRUE(ensure("2001:db8::7").made);
  EXPECT_FALSE(ensure("2001:db8::7").made);
}

TEST_F(CertificateTest, RefusesWhatIsNoHost) {
  for (const char* host : {"", "a,DNS:bank.example", "host:5432", "a b", "x\ny"})
    EXPECT_ERROR(invalid, ensure(host));
}

}  // namespace
}  // namespace holdfast
