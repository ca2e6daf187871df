#include "pg/encoding.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(TextInUtf8, ComesFromTheDatabasesEncoding) {
  EXPECT_EQ(text_in_utf8("\xC4pfel", "LATIN1"), "Äpfel");
  EXPECT_EQ(text_in_utf8("\xA4", "LATIN9"), "€");
  EXPECT_EQ(text_in_utf8("\x80", "WIN1252"), "€");
  EXPECT_EQ(text_in_utf8("\xC4\xC1", "KOI8R"), "да");
  EXPECT_EQ(text_in_utf8("\xC6\xFC", "EUC_JP"), "日");
  EXPECT_EQ(text_in_utf8("\xD4\xD0", "ISO_8859_5"), "да");
}

TEST(TextInUtf8, IsLeftAsItIsWhereNothingIsKnown) {
  for (const char* encoding : {"UTF8", "SQL_ASCII", "MULE_INTERNAL", "", "no such"})
    EXPECT_EQ(text_in_utf8("\xC4pfel", encoding), "\xC4pfel") << encoding;
  EXPECT_EQ(text_in_utf8("visits", "LATIN1"), "visits");
  EXPECT_EQ(text_in_utf8("\xC6", "EUC_JP"), "\xC6");  // half a character
}

}  // namespace
}  // namespace holdfast
