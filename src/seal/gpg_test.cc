#include "seal/gpg.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"

namespace holdfast {
namespace {

// Lines as `gpg --with-colons --fixed-list-mode --list-keys` prints them (doc/DETAILS).
std::string key(char validity, const std::string& capabilities, const std::string& fingerprint) {
  return std::string("pub:") + validity +
         ":255:22:331A7F494D38F8E9:1795410721:1826946721::u:::" + capabilities +
         ":::::ed25519:::0:\nfpr:::::::::" + fingerprint +
         ":\nuid:u::::1795410721::9E2ABA3B::Keeper <keeper@example.org>::::::::::0:\n" +
         "sub:u:255:18:AECD86BBA00C2A91:1795410721::::::e:::::cv25519::\n" +
         "fpr:::::::::0000000000000000000000000000000000000000:\n";
}
const std::string kFirst(40, 'A'), kSecond(40, 'B');

std::string trouble(const std::string& listing) {
  try {
    choose_key("keeper", listing);
    return "";
  } catch (const Error& error) {
    EXPECT_FALSE(error.hint().empty());
    return error.what();
  }
}

TEST(GpgTest, OneUsableKeyIsChosenByItsPrimaryFingerprint) {
  PublicKey found =
      choose_key("keeper", "tru:o:1:1795410721:1:3:1:5\n" + key('u', "scESC", kFirst));
  EXPECT_EQ(found.fingerprint, kFirst);
  EXPECT_EQ(found.name, "Keeper <keeper@example.org>");
  // Its predecessor, long expired, is in nobody's way.
  EXPECT_EQ(
      choose_key("keeper", key('e', "sc", kSecond) + key('-', "escaESCA", kFirst)).fingerprint,
      kFirst);
}

TEST(GpgTest, WhyAKeyCannotBeUsedIsSaid) {
  EXPECT_NE(trouble("").find("no public key"), std::string::npos);
  EXPECT_NE(trouble("tru::1:2:3\n").find("'keeper'"), std::string::npos);
  EXPECT_NE(trouble(key('e', "sc", kFirst)).find("expired"), std::string::npos);
  EXPECT_NE(trouble(key('r', "sc", kFirst)).find("revoked"), std::string::npos);
  EXPECT_NE(trouble(key('u', "scESCD", kFirst)).find("disabled"), std::string::npos);
  EXPECT_NE(trouble(key('u', "scSC", kFirst)).find("encrypt"), std::string::npos);
  std::string two = trouble(key('u', "scESC", kFirst) + key('u', "scESC", kSecond));
  EXPECT_NE(two.find("2 keys"), std::string::npos);
}

TEST(GpgTest, AListingCutAnywhereIsNoCrash) {
  std::string listing = key('u', "scESC", kFirst);
  for (size_t size = 0; size < listing.size(); ++size) {
    try {
      choose_key("keeper", listing.substr(0, size));
    } catch (const Error&) {
    }
  }
}

// What gpg 2.2.40 wrote in each of these cases.
TEST(GpgTest, FailuresSayWhatToDo) {
  Error no_key = gpg_open_failure(
      "[GNUPG:] ENC_TO AECD86BBA00C2A91 18 0\n"
      "gpg: encrypted with ECDH key, ID AECD86BBA00C2A91\n"
      "[GNUPG:] NO_SECKEY AECD86BBA00C2A91\n[GNUPG:] BEGIN_DECRYPTION\n"
      "[GNUPG:] DECRYPTION_FAILED\ngpg: decryption failed: No secret key\n"
      "[GNUPG:] END_DECRYPTION\n",
      2);
  EXPECT_EQ(no_key.code(), ErrorCode::denied);
  EXPECT_NE(std::string(no_key.what()).find("AECD86BBA00C2A91"), std::string::npos);

  Error wrong = gpg_open_failure(
      "gpg: AES256.CFB encrypted data\n[GNUPG:] NEED_PASSPHRASE_SYM 9 3 10\n"
      "gpg: encrypted with 1 passphrase\n[GNUPG:] BEGIN_DECRYPTION\n"
      "[GNUPG:] DECRYPTION_INFO 2 9 0\n"
      "[GNUPG:] ERROR symkey_decrypt.maybe_error 11_BAD_PASSPHRASE\n"
      "[GNUPG:] DECRYPTION_FAILED\ngpg: decryption failed: Bad session key\n",
      2);
  EXPECT_EQ(wrong.code(), ErrorCode::denied);
  EXPECT_NE(std::string(wrong.what()).find("passphrase"), std::string::npos);

  Error changed = gpg_open_failure(
      "[GNUPG:] NEED_PASSPHRASE_SYM 9 3 10\n[GNUPG:] BEGIN_DECRYPTION\n"
      "[GNUPG:] DECRYPTION_INFO 2 9 0\n[GNUPG:] PLAINTEXT 62 1795410720 \n"
      "gpg: WARNING: encrypted message has been manipulated!\n[GNUPG:] BADMDC\n"
      "[GNUPG:] DECRYPTION_FAILED\n",
      2);
  EXPECT_EQ(changed.code(), ErrorCode::corrupt);

  EXPECT_EQ(gpg_open_failure("gpg: no valid OpenPGP data found.\n", 2).code(), ErrorCode::corrupt);
  EXPECT_EQ(gpg_open_failure("[GNUPG:] PLAINTEXT 62 0 \n", 137).code(), ErrorCode::unavailable);
  EXPECT_EQ(gpg_open_failure("gpg: Ohhhh jeeee\n", 134).code(), ErrorCode::corrupt);
  EXPECT_NE(std::string(gpg_seal_failure("gpg: out of luck\n", 2).what()).find("out of luck"),
            std::string::npos);
  EXPECT_NE(std::string(gpg_seal_failure("", 137).what()).find("signal 9"), std::string::npos);
}

TEST(GpgTest, MethodsReadBack) {
  for (SealMethod method : {SealMethod::recipients, SealMethod::passphrase})
    EXPECT_EQ(parse_seal_method(std::string(seal_method_name(method))), method);
  EXPECT_ERROR(unsupported, parse_seal_method("rot13"));
}

TEST(GpgTest, SecretsAreInNoArgumentAndNoEnvironment) {
  SealSpec spec;
  spec.method = SealMethod::passphrase;
  spec.passphrase = Secret("s3cr3t-passphrase");
  OpenAttempt attempt{&spec.passphrase, true};
  for (const GpgCommand& command : {gpg_seal_command(spec), gpg_open_command(attempt)}) {
    for (const std::string& argument : command.options.argv)
      EXPECT_EQ(argument.find("s3cr3t"), std::string::npos);
    for (const auto& [name, value] : command.options.env)
      EXPECT_EQ(value.find("s3cr3t"), std::string::npos);
  }
}

}  // namespace
}  // namespace holdfast
