#include "dump/database_spec.h"

#include <gtest/gtest.h>

#include "dump/manifest_samples.h"

namespace holdfast {
namespace {

DatabaseSpec spec_in(const std::string& create_database) {
  ArchiveToc toc;
  TocEntry entry;
  entry.desc = "DATABASE";
  entry.defn = create_database;
  toc.entries = {entry};
  return archive_database_spec(toc);
}

TEST(DatabaseSpec, AsPgDumpOfEachVersionSaysIt) {
  DatabaseSpec plain = spec_in(
      "CREATE DATABASE care WITH TEMPLATE = template0 ENCODING = 'LATIN1' LC_COLLATE = 'de_DE'"
      " LC_CTYPE = 'C';\n");  // 12
  EXPECT_EQ(plain.encoding, "LATIN1");
  EXPECT_EQ(locale_text(plain), "locale de_DE (character types C)");
  EXPECT_EQ(plain.tablespace, "");

  DatabaseSpec libc = spec_in(
      "CREATE DATABASE care WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc"
      " LOCALE = 'C.UTF-8';\n");  // 15
  EXPECT_EQ(libc.provider, "");
  EXPECT_EQ(locale_text(libc), "locale C.UTF-8");

  DatabaseSpec icu = spec_in(
      "CREATE DATABASE \"LOCALE = 'x'\" WITH TEMPLATE = template0 ENCODING = 'UTF8'"
      " LOCALE_PROVIDER = icu LOCALE = 'C.utf8' ICU_LOCALE = 'de-DE'"
      " ICU_RULES = '&V << w ''x''' TABLESPACE = \"fast \"\"disk\"\"\";\n");  // 16
  EXPECT_EQ(icu.provider, "icu");
  EXPECT_EQ(icu.locale, "de-DE");
  EXPECT_EQ(icu.icu_rules, "&V << w 'x'");
  EXPECT_EQ(icu.collate, "C.utf8");
  EXPECT_EQ(icu.tablespace, "fast \"disk\"");
  EXPECT_EQ(locale_text(icu), "ICU locale de-DE with its own rules over locale C.utf8");

  DatabaseSpec builtin = spec_in(
      "CREATE DATABASE care WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = builtin"
      " LOCALE = 'C' BUILTIN_LOCALE = 'C.UTF-8' TABLESPACE = fast;\n");  // 17
  EXPECT_EQ(builtin.tablespace, "fast");
  EXPECT_EQ(locale_text(builtin), "builtin locale C.UTF-8 over locale C");

  for (const char* odd : {"", "CREATE DATABASE care", "LOCALE =", "= =", "LOCALE = '"})
    EXPECT_EQ(spec_in(odd).encoding, "UTF8") << odd;
}

TEST(DatabaseSpec, TheManifestComesFirstAndOlderOnesAreHelpedByTheArchive) {
  ArchiveToc toc;
  TocEntry entry;
  entry.desc = "DATABASE";
  entry.defn =
      "CREATE DATABASE care WITH ENCODING = 'UTF8' LOCALE_PROVIDER = icu LOCALE = 'C'"
      " ICU_LOCALE = 'de' TABLESPACE = fast;";
  toc.entries = {entry};
  Manifest manifest = sample_manifest();
  DatabaseSpec spec = backup_database_spec(manifest, toc);
  EXPECT_EQ(locale_text(spec), "ICU locale de over locale en_US.UTF-8");
  EXPECT_EQ(spec.tablespace, "fast");
  manifest.locale_provider = "builtin";
  manifest.locale = "C.UTF-8";
  EXPECT_EQ(locale_text(backup_database_spec(manifest, toc)),
            "builtin locale C.UTF-8 over locale en_US.UTF-8");
}

TEST(DatabaseSpec, LocalesAreComparedByWhatTheyMean) {
  DatabaseSpec libc{"UTF8", "de_DE.utf8", "de_DE.UTF-8", "", "", "", ""};
  DatabaseSpec icu{"UTF8", "C", "C", "icu", "de_DE@collation=phonebook", "", ""};
  EXPECT_TRUE(same_locale(libc, {"UTF8", "de_DE.UTF-8", "de_DE.utf8", "", "", "", "fast"}));
  EXPECT_FALSE(same_locale(libc, {"UTF8", "C", "de_DE.utf8", "", "", "", ""}));
  EXPECT_FALSE(same_locale(libc, icu));
  EXPECT_FALSE(same_locale(icu, libc));
  EXPECT_TRUE(same_locale(icu, {"UTF8", "C", "C", "icu", "de-DE-u-co-phonebk", "", ""}));
  EXPECT_FALSE(same_locale(icu, {"UTF8", "C", "C", "icu", "de-AT-u-co-phonebk", "", ""}));
  EXPECT_FALSE(same_locale(icu, {"UTF8", "C", "C", "icu", "de_DE@collation=search", "", ""}));
  EXPECT_FALSE(same_locale(icu, {"UTF8", "C", "C", "icu", icu.locale, "&a < b", ""}));
  // An archive that says nothing is content with the server's default.
  EXPECT_TRUE(same_locale({}, icu));
  EXPECT_TRUE(same_locale({}, libc));
}

}  // namespace
}  // namespace holdfast
