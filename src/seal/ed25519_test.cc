#include "seal/ed25519.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"

namespace holdfast {
namespace {

// RFC 8032, section 7.1, test 2, as PKCS #8.
const char* const kTestKey =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
    "-----END PRIVATE KEY-----\n";

std::string hex_of(std::string_view bytes) {
  std::string hex;
  for (unsigned char byte : bytes) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

TEST(Ed25519, SignsAsTheStandardSays) {
  SigningKey key{Secret(kTestKey)};
  std::string message = "\x72";
  EXPECT_EQ(hex_of(key.sign(as_bytes(message))),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
}

TEST(Ed25519, AnyChangedByteIsNoticed) {
  SigningKey key{Secret(kTestKey)};
  std::string message = "holdfast", signature = key.sign(as_bytes(message)), pem = key.public_pem();
  EXPECT_TRUE(verify_signature(pem, as_bytes(message), as_bytes(signature)));
  for (size_t i = 0; i < message.size(); ++i) {
    std::string other = message;
    other[i] = static_cast<char>(other[i] ^ 1);
    EXPECT_FALSE(verify_signature(pem, as_bytes(other), as_bytes(signature)));
  }
  for (size_t i = 0; i < signature.size(); ++i) {
    std::string other = signature;
    other[i] = static_cast<char>(other[i] ^ 1);
    EXPECT_FALSE(verify_signature(pem, as_bytes(message), as_bytes(other)));
  }
}

TEST(Ed25519, WhatIsNoKeyIsRefusedAndNotShown) {
  for (const char* text : {"", "secret-that-is-none",
                           "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}) {
    try {
      SigningKey key{Secret(text)};
      FAIL() << "took it";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid);
      EXPECT_EQ(error.in_one_line().find("secret-that"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace holdfast
