#include "seal/passphrase.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/expect_error.h"
#include "base/file.h"

namespace holdfast {
namespace {

TEST(PassphraseTest, BitsOfWhatMachinesDraw) {
  EXPECT_GE(key_bits(random_hex(32)), 250);
  EXPECT_EQ(key_bits(random_hex(32)), 256);
  EXPECT_EQ(key_bits("prefix-" + random_hex(32)) >= kKeyFileBitsMin, true);
  EXPECT_GE(key_bits("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJD+"), kKeyFileBitsMin);
  EXPECT_LT(key_bits(random_hex(16)), kKeyFileBitsMin);
  for (const char* weak :
       {"", "x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789",
        "abababbaabababbabababaabbababababababababababababababababababababaabababab"})
    EXPECT_EQ(key_bits(weak), 0) << weak;
}

TEST(PassphraseTest, WhatGpgWouldReadOtherwiseIsRefused) {
  std::vector<std::string> notes;
  for (std::string_view text : {std::string_view(""), std::string_view("two words\nand a line"),
                                std::string_view("windows ends\r"), std::string_view("short"),
                                std::string_view("a zero\0 byte in it", 18)})
    EXPECT_ERROR(invalid, check_passphrase(text, PassphraseKind::passphrase, "X", notes));
  EXPECT_TRUE(notes.empty());
  check_passphrase("twelve chars", PassphraseKind::passphrase, "X", notes);
  EXPECT_EQ(notes.size(), 1u);
  check_passphrase(" four words of some length ", PassphraseKind::passphrase, "X", notes);
  EXPECT_EQ(notes.size(), 1u);
  EXPECT_ERROR(invalid, check_passphrase("changeme changeme", PassphraseKind::key, "X", notes));
}

TEST(PassphraseTest, FilesAreReadAsGpgReadsThem) {
  TempFolder folder("holdfast-passphrase-test");
  std::string path = folder.path() + "/key", key = random_hex(40);
  write_file_atomic(path, key + "\n");
  PassphraseFile file = read_passphrase_file(path, PassphraseKind::key);
  EXPECT_EQ(file.passphrase.reveal(), key);
  EXPECT_TRUE(file.notes.empty());
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_EQ(read_passphrase_file(path, PassphraseKind::key).notes.size(), 1u);
  write_file_atomic(path, " spaces belong to it ");
  EXPECT_EQ(read_passphrase_file(path, PassphraseKind::passphrase).passphrase.reveal(),
            " spaces belong to it ");
  write_file_atomic(path, "one\n\n");
  EXPECT_ERROR(invalid, read_passphrase_file(path, PassphraseKind::passphrase));
  EXPECT_ERROR(invalid, read_passphrase_file(path + "s", PassphraseKind::passphrase));
}

// Nobody finds the passphrase in what is said about it.
TEST(PassphraseTest, ErrorsDoNotShowIt) {
  std::vector<std::string> notes;
  try {
    check_passphrase("s3cr3t\nline", PassphraseKind::passphrase, "the file", notes);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("s3cr3t"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("the file"), std::string::npos);
  }
}

}  // namespace
}  // namespace holdfast
