#include "dump/manifest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "base/error.h"
#include "base/text.h"
#include "dump/manifest_samples.h"
#include "dump/names.h"
#include "seal/document.h"

namespace holdfast {
namespace {

// What is wrong with `text`, or "" if it reads.
std::string damage_of(const std::string& text) {
  try {
    read_manifest(text);
    return "";
  } catch (const Error& error) {
    return error.code() == ErrorCode::corrupt
               ? error.what()
               : std::string(error_code_name(error.code())) + ": " + error.what();
  }
}

std::string replaced(std::string text, std::string_view old_part, std::string_view new_part) {
  size_t at = text.find(old_part);
  EXPECT_NE(at, std::string::npos) << old_part;
  return text.replace(at, old_part.size(), new_part);
}

Manifest sealed_sample(SealMethod method) {
  Manifest m = sample_manifest();
  seal_sample(m, method);
  return m;
}

// A changed document with a seal that is right for it, as an attacker or a later version makes it.
std::string resealed(const std::string& text) {
  std::string body = text.substr(0, text.rfind(",\n  \"manifest_sha256\""));
  return seal_document(body, "manifest_sha256");
}

TEST(ManifestTest, EveryFieldReadsBack) {
  Manifest m = sample_manifest();
  Manifest back = read_manifest(write_manifest(m));
  EXPECT_EQ(back.id, m.id);
  EXPECT_EQ(back.database, m.database);
  EXPECT_EQ(back.source, m.source);
  EXPECT_EQ(back.server, m.server);
  EXPECT_EQ(back.server_version, m.server_version);
  EXPECT_EQ(back.server_major, m.server_major);
  EXPECT_EQ(back.system_identifier, m.system_identifier);
  EXPECT_EQ(back.lsn, m.lsn);
  EXPECT_EQ(back.created_at, m.created_at);
  EXPECT_EQ(back.finished_at, m.finished_at);
  EXPECT_EQ(back.holdfast_version, m.holdfast_version);
  EXPECT_EQ(back.pg_dump_version, m.pg_dump_version);
  EXPECT_EQ(back.archive_object, m.archive_object);
  EXPECT_EQ(back.archive_bytes, m.archive_bytes);
  EXPECT_EQ(back.archive_sha256, m.archive_sha256);
  EXPECT_EQ(back.archive_version, m.archive_version);
  EXPECT_EQ(back.codec, m.codec);
  EXPECT_EQ(back.toc_bytes, m.toc_bytes);
  EXPECT_EQ(back.toc_sha256, m.toc_sha256);
  EXPECT_EQ(back.toc_entries, m.toc_entries);
  EXPECT_EQ(back.globals_object, m.globals_object);
  EXPECT_EQ(back.globals_bytes, m.globals_bytes);
  EXPECT_EQ(back.globals_sha256, m.globals_sha256);
  EXPECT_EQ(back.encoding, m.encoding);
  EXPECT_EQ(back.collate, m.collate);
  EXPECT_EQ(back.ctype, m.ctype);
  EXPECT_EQ(back.time_zone, m.time_zone);
  EXPECT_EQ(back.schema_fingerprint, m.schema_fingerprint);
  EXPECT_EQ(back.excluded, m.excluded);
  ASSERT_EQ(back.extensions.size(), 2u);
  EXPECT_EQ(back.extensions[1].name, "pgcrypto");
  EXPECT_EQ(back.extensions[1].version, "1.3");
  ASSERT_EQ(back.tables.size(), 2u);
  for (size_t t = 0; t < 2; ++t) {
    const TableRecord &a = back.tables[t], &b = m.tables[t];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.dump_id, b.dump_id);
    EXPECT_EQ(a.sum, b.sum);
    EXPECT_EQ(a.text_bytes, b.text_bytes);
    ASSERT_EQ(a.pieces.size(), b.pieces.size());
    for (size_t p = 0; p < a.pieces.size(); ++p) {
      EXPECT_EQ(a.pieces[p].offset, b.pieces[p].offset);
      EXPECT_EQ(a.pieces[p].bytes, b.pieces[p].bytes);
      EXPECT_EQ(a.pieces[p].text_bytes, b.pieces[p].text_bytes);
      EXPECT_EQ(a.pieces[p].sum, b.pieces[p].sum);
      EXPECT_EQ(a.pieces[p].stored_xxh3, b.pieces[p].stored_xxh3);
    }
  }
  ASSERT_EQ(back.large_objects.size(), 1u);
  EXPECT_EQ(back.large_objects[0].dump_id, 3052);
  EXPECT_EQ(back.large_objects[0].offset, m.large_objects[0].offset);
  EXPECT_EQ(back.large_objects[0].bytes, 300u);
  EXPECT_EQ(back.large_objects[0].content_bytes, 1000u);
  EXPECT_EQ(back.large_objects[0].sum, m.large_objects[0].sum);
  EXPECT_EQ(back.large_objects[0].stored_xxh3, m.large_objects[0].stored_xxh3);
  EXPECT_EQ(write_manifest(back), write_manifest(m));
  EXPECT_EQ(back.total_rows(), 75u);
  EXPECT_EQ(back.total_text_bytes(), 18'000u);
}

TEST(ManifestTest, RecordsHaveLinesOfTheirOwn) {
  std::string text = write_manifest(sample_manifest());
  EXPECT_TRUE(text.starts_with("{\n  \"format\": \"holdfast-manifest\",\n  \"version\": 1,\n"));
  size_t tail = text.size() - 92;
  EXPECT_EQ(text.substr(tail, 23), ",\n  \"manifest_sha256\": ");
  EXPECT_EQ(text.substr(text.size() - 4), "\"\n}\n");
  for (const std::string& line : split(text, '\n')) EXPECT_LT(line.size(), 250u) << line;
  EXPECT_TRUE(contains(text, "\n      [4000, 1000, 9000, 40, \""));
  EXPECT_TRUE(contains(text, "\n      [5000, 900, 8000, 35, \""));
}

TEST(ManifestTest, TheLeastThereCanBe) {
  Manifest m = sample_manifest();
  m.tables.clear();
  m.large_objects.clear();
  m.extensions.clear();
  m.excluded.clear();
  m.globals_object.reset();
  m.globals_sha256.clear();
  m.archive_bytes = m.toc_bytes;
  m.lsn.clear();
  m.time_zone.clear();
  Manifest back = read_manifest(write_manifest(m));
  EXPECT_TRUE(back.time_zone.empty());
  EXPECT_FALSE(back.globals_object);
  EXPECT_TRUE(back.tables.empty());
  EXPECT_EQ(back.total_rows(), 0u);
}

TEST(ManifestTest, WhatSortsTheTextIsWrittenWhereItIsNotTheCLibrary) {
  Manifest m = sample_manifest();
  std::string without = write_manifest(m);  // as an older program wrote it
  EXPECT_FALSE(contains(without, "locale"));
  EXPECT_EQ(read_manifest(without).locale_provider, "");
  m.locale_provider = "icu";
  m.locale = "de-DE";
  m.icu_rules = "&V << w";
  Manifest back = read_manifest(write_manifest(m));
  EXPECT_EQ(back.locale_provider, "icu");
  EXPECT_EQ(back.locale, "de-DE");
  EXPECT_EQ(back.icu_rules, "&V << w");
  m.icu_rules.clear();
  EXPECT_EQ(read_manifest(write_manifest(m)).icu_rules, "");
  EXPECT_EQ(damage_of(resealed(replaced(write_manifest(m), "\"de-DE\"", "5"))),
            "manifest: field locale is not text");
}

TEST(ManifestTest, AnyTextSurvives) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  for (const std::string& name :
       {std::string("public.\"a\"\"b\\\n\t\x01\x7F\""), std::string("größe 日本 \xF0\x9F\x90\x98"),
        std::string("caf\xE9 in latin1"), all, std::string("\xC3"),
        std::string("{\"latin1\": 1}")}) {
    Manifest m = sample_manifest();
    m.tables[0].name = name;
    m.excluded = {name};
    m.extensions[0].version = name;
    Manifest back = read_manifest(write_manifest(m));
    EXPECT_EQ(back.tables[0].name, name);
    EXPECT_EQ(back.excluded[0], name);
    EXPECT_EQ(back.extensions[0].version, name);
  }
  Manifest m = sample_manifest("caf\xE9");
  EXPECT_EQ(read_manifest(write_manifest(m)).database, "caf\xE9");
}

TEST(ManifestTest, LargeObjectsMayStandAnywhere) {
  for (int order = 0; order < 3; ++order) {
    Manifest m = sample_manifest();
    m.large_objects.clear();
    m.archive_bytes = m.toc_bytes;
    for (TableRecord& table : m.tables) table = {table.name, table.dump_id, {}, 0, {}};
    for (int step = 0; step < 3; ++step) {
      if (step == order) {
        for (int id : {7, 8}) {
          m.large_objects.push_back(
              {id, m.archive_bytes, 50, 10, sample_sum(1, 1), sample_hex(32, 1)});
          m.archive_bytes += 50;
        }
      } else {
        add_sample_piece(m, m.tables[step > order ? step - 1 : step], 100, 200, 3);
      }
    }
    EXPECT_EQ(read_manifest(write_manifest(m)).large_objects.size(), 2u) << order;
  }
}

TEST(ManifestTest, EmptyPiecesAfterTheFirstAreAllowed) {
  Manifest m = sample_manifest();
  TableRecord table{"public.sparse", 9, {}, 0, {}};
  add_sample_piece(m, table, 30, 10, 1);
  add_sample_piece(m, table, 0, 0, 0);
  add_sample_piece(m, table, 20, 10, 1);
  m.tables.push_back(table);
  m.large_objects[0].offset = m.tables[1].pieces[0].offset + 21;
  EXPECT_EQ(damage_of(write_manifest(m)), "");
}

// Promise 3: nothing changes in a manifest unnoticed.
TEST(ManifestTest, EveryFlippedBitIsFound) {
  std::string text = write_manifest(sample_manifest());
  for (size_t at = 0; at < text.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      text[at] = static_cast<char>(text[at] ^ 1 << bit);
      std::string damage = damage_of(text);
      ASSERT_TRUE(damage.starts_with("the manifest's ")) << at << " bit " << bit << ": " << damage;
      text[at] = static_cast<char>(text[at] ^ 1 << bit);
    }
  EXPECT_EQ(damage_of(text), "");
}

TEST(ManifestTest, EveryTruncationIsFound) {
  std::string text = write_manifest(sample_manifest());
  for (size_t size = 0; size < text.size(); ++size)
    ASSERT_TRUE(contains(damage_of(text.substr(0, size)), "cut short")) << size;
  for (size_t at = 0; at < text.size(); ++at) {  // and every byte left out of the middle
    std::string shorter = text;
    shorter.erase(at, 1);
    ASSERT_TRUE(damage_of(shorter).starts_with("the manifest's ")) << at;
  }
}

TEST(ManifestTest, EveryAddedByteIsFound) {
  std::string text = write_manifest(sample_manifest());
  for (const char* extra : {"\n", " ", "}", "x"}) EXPECT_NE(damage_of(text + extra), "") << extra;
  EXPECT_NE(damage_of(text + std::string(1, '\0')), "");
  EXPECT_NE(damage_of(" " + text), "");
  EXPECT_NE(damage_of(text + text), "");
  for (size_t at = 0; at <= text.size(); ++at) {
    std::string longer = text;
    longer.insert(at, 1, ' ');
    ASSERT_TRUE(damage_of(longer).starts_with("the manifest's ")) << at;
  }
  EXPECT_NE(damage_of(std::string(1000, '\0')), "");
}

TEST(ManifestTest, DamageIsNamedByItsPlace) {
  std::string text = write_manifest(sample_manifest());
  EXPECT_TRUE(contains(damage_of(replaced(text, "[4000, 1000, 9000, 40", "[4000, 1000, 9000, 41")),
                       "table public.visits: its pieces have 76 rows, not 75"));
  EXPECT_TRUE(contains(damage_of(replaced(text, "[5000, 900,", "[5001, 900,")),
                       "table public.visits, piece 2 starts at 5001"));
  EXPECT_TRUE(contains(damage_of(replaced(text, "\"version\": 1,", "\"version\": 1;")),
                       "line 3 is not JSON"));
  EXPECT_TRUE(contains(damage_of(replaced(text, "\"lsn\"", "\"lsm\"")), "field lsn is missing"));
  EXPECT_TRUE(contains(damage_of(replaced(text, "en_US", "en_UT")), "no other field confirms it"));
  EXPECT_TRUE(contains(damage_of(replaced(text, "\"server_major\": 15", "\"server_major\": -5")),
                       "field server_major is not a number from 0 on"));
}

// The same holds when the seal is right: a document of ours that is wrong is refused all the same.
TEST(ManifestTest, FieldsMustAgree) {
  struct Case {
    const char *old_part, *new_part, *expected;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"[4000, 1000, 9000, 40", "[4000, 1001, 9000, 40", "piece 2 starts at 5000"},
           {"[4000, 1000, 9000, 40", "[4000, 1000, 9001, 40", "bytes of text"},
           {"\"rows\": 75", "\"rows\": 74", "its pieces have 75 rows, not 74"},
           {"\"toc_bytes\": 4000", "\"toc_bytes\": 3999", "starts at 4000"},
           {"\"toc_bytes\": 4000", "\"toc_bytes\": 99999", "not within the archive"},
           {"\"toc_bytes\": 4000", "\"toc_bytes\": 4000.0", "not a number"},
           {"\"toc_bytes\": 4000", "\"toc_bytes\": 99999999999999999999", "not a number"},
           {"\"toc_bytes\": 4000", "\"toc_bytes\": 1e999", "out of range"},
           {"\"bytes\": 6221", "\"bytes\": 6222", "its pieces end at 6221"},
           {"\"dump_id\": 3051", "\"dump_id\": 3050", "used twice"},
           {"\"dump_id\": 3051", "\"dump_id\": 0", "not valid"},
           {"\"dump_id\": 3052", "\"dump_id\": 3050", "used twice"},
           {"\"dump_id\": 3051", "\"dump_id\": 2147483648", "more than 2147483647"},
           {"\"codec\": \"gzip\"", "\"codec\": \"rar\"", "field codec"},
           {"\"codec\": \"gzip\"", "\"codec\": 7", "not text"},
           {"T02:00:00.000Z\"", "T02:60:00.000Z\"", "field created_at"},
           {"\"database\": \"care_commons\"", "\"database\": \"other\"", "field database"},
           {"\"id\": \"care_commons_", "\"id\": \"care/commons_", "no backup's id"},
           {"\"object\": \"care_commons_", "\"object\": \"../../care_", "archive: field object"},
           {"\"object\": \"care_commons_", "\"object\": \"other_", "of another backup"},
           {"\"excluded\": [", "\"excluded\": [[],", "not text"},
           {"\"excluded\": [", "\"excludes\": [", "field excluded is missing"},
           {"\"tables\": [", "\"tables\": [7,", "not an object"},
           {"\"tables\": [", "\"tables\": [[1],", "not an object"},
           {"\"pieces\": [", "\"pieces\": [7,", "not a list"},
           {"\"pieces\": [", "\"pieces\": [[7],", "six members"},
           {"\"pieces\": [", "\"pieces\": {}, \"x\": [", "not a list"},
           {"\"name\": \"plpgsql\"", "\"name\": {\"latin1\": \"日\"}", "not text"},
           {"\"name\": \"plpgsql\"", "\"name\": {\"latin1\": \"a\", \"b\": 1}", "not text"},
           {"{\n  \"format\"", "[{\n  \"format\"", "not JSON"},
       }) {
    std::string changed = replaced(write_manifest(sample_manifest()), c.old_part, c.new_part);
    std::string damage = damage_of(resealed(changed));
    EXPECT_TRUE(contains(damage, c.expected)) << c.new_part << " → " << damage;
  }
}

TEST(ManifestTest, HashesMustHaveTheirForm) {
  Manifest good = sample_manifest();
  std::string text = write_manifest(good);
  for (const std::string& hash :
       {good.archive_sha256, good.toc_sha256, good.globals_sha256, good.schema_fingerprint,
        good.tables[0].pieces[0].stored_xxh3, good.large_objects[0].stored_xxh3,
        good.tables[0].sum.sum_hex()}) {
    std::string upper = hash;
    for (char& c : upper) c = c >= 'a' ? static_cast<char>(c - 32) : c;
    EXPECT_NE(damage_of(resealed(replaced(text, hash, upper))), "") << hash;
    EXPECT_NE(damage_of(resealed(replaced(text, hash, hash.substr(1)))), "") << hash;
  }
}

TEST(ManifestTest, LaterVersionsMayAddFieldsButNotChangeTheirNumber) {
  std::string text = write_manifest(sample_manifest());
  std::string more = replaced(text, "\"lsn\"", "\"new\": {\"tables\": [[[[1]]]]},\n  \"lsn\"");
  more = replaced(more, "{\"name\": \"public.visits\",",
                  "{\"labels\": [[[1, 2], {\"pieces\": [[3]]}]], \"name\": \"public.visits\",");
  Manifest back = read_manifest(resealed(more));
  EXPECT_EQ(back.tables.size(), 2u);
  EXPECT_EQ(back.tables[0].pieces.size(), 2u);

  std::string later = damage_of(resealed(replaced(text, "\"version\": 1", "\"version\": 2")));
  EXPECT_TRUE(later.starts_with("unsupported: ")) << later;
  std::string other = damage_of(resealed(replaced(text, "holdfast-manifest", "tar-manifest")));
  EXPECT_TRUE(other.starts_with("unsupported: ")) << other;
}

TEST(ManifestTest, AWrongManifestIsNeverWritten) {
  std::vector<std::function<void(Manifest&)>> mistakes = {
      [](Manifest& m) { m.archive_bytes += 1; },
      [](Manifest& m) { m.tables[0].sum.rows += 1; },
      [](Manifest& m) { m.tables[0].sum.low += 1; },
      [](Manifest& m) { m.tables[0].pieces.clear(); },
      [](Manifest& m) { m.tables[1].dump_id = -1; },
      [](Manifest& m) { m.archive_sha256.clear(); },
      [](Manifest& m) { m.id = "care"; },
      [](Manifest& m) { m.globals_object = "x"; },
      [](Manifest& m) { std::swap(m.tables[0], m.tables[1]); },
      [](Manifest& m) { m.large_objects[0].bytes = 0; },
  };
  for (size_t i = 0; i < mistakes.size(); ++i) {
    Manifest m = sample_manifest();
    mistakes[i](m);
    try {
      write_manifest(m);
      ADD_FAILURE() << i;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::internal);
      EXPECT_FALSE(error.hint().empty());
    }
  }
}

TEST(ManifestTest, RandomDamageToALargeOneIsFound) {
  Manifest m = sample_manifest();
  m.large_objects.clear();
  m.archive_bytes = m.toc_bytes;
  m.tables.clear();
  for (int t = 0; t < 20; ++t) {
    TableRecord table{fmt::format("public.t{}", t), t + 1, {}, 0, {}};
    for (int p = 0; p < 20; ++p) add_sample_piece(m, table, 1000 + p, 5000, 10);
    m.tables.push_back(table);
  }
  std::string text = write_manifest(m);
  EXPECT_EQ(read_manifest(text).total_rows(), 20u * 20 * 10);
  std::mt19937_64 random(20261123);
  for (int i = 0; i < 300; ++i) {
    std::string damaged = text;
    size_t at = random() % damaged.size();
    damaged[at] = static_cast<char>(damaged[at] ^ 1 << random() % 8);
    ASSERT_TRUE(damage_of(damaged).starts_with("the manifest's ")) << at;
  }
}

TEST(ManifestTest, ASealReadsBack) {
  for (SealMethod method : {SealMethod::recipients, SealMethod::passphrase}) {
    Manifest m = sealed_sample(method);
    Manifest back = read_manifest(write_manifest(m));
    ASSERT_TRUE(back.seal);
    EXPECT_EQ(back.seal->method, method);
    EXPECT_EQ(back.seal->recipients, m.seal->recipients);
    EXPECT_EQ(back.seal->program, m.seal->program);
    EXPECT_EQ(back.seal->archive.bytes, 5000u);
    EXPECT_EQ(back.seal->archive.sha256, m.seal->archive.sha256);
    EXPECT_EQ(back.seal->globals->bytes, 600u);
    EXPECT_EQ(back.stored_bytes(), 5000u);
    EXPECT_TRUE(contains(back.archive_label(), "opened"));
  }
  EXPECT_FALSE(read_manifest(write_manifest(sample_manifest())).seal);
  EXPECT_EQ(sample_manifest().stored_bytes(), sample_manifest().archive_bytes);
}

TEST(ManifestTest, ASealThatDoesNotAgreeIsDamage) {
  std::string good = write_manifest(sealed_sample(SealMethod::recipients));
  auto damaged = [&](std::string_view old_part, std::string_view new_part) {
    return damage_of(resealed(replaced(good, old_part, new_part)));
  };
  EXPECT_TRUE(contains(damaged(".dump.gpg", ".dump"), "seal"));
  EXPECT_TRUE(contains(damaged(".globals.sql.gpg", ".globals.sql"), "globals"));
  EXPECT_TRUE(contains(damaged("\"seal\"", "\"sael\""), "seal is missing"));
  EXPECT_TRUE(contains(damaged("openpgp-recipients", "rot13"), "rot13"));
  EXPECT_TRUE(contains(damaged("openpgp-recipients", "openpgp-passphrase"), "recipients"));
  EXPECT_TRUE(contains(damaged("0123456789ABCDEF", "0123456789abcdef"), "fingerprint"));
  EXPECT_TRUE(contains(damaged("\"bytes\": 5000", "\"bytes\": -5000"), "seal: archive"));
  std::string plain = write_manifest(sample_manifest());
  EXPECT_TRUE(contains(damage_of(resealed(replaced(plain, ".dump\"", ".dump.gpg\""))), "seal"));
}

}  // namespace
}  // namespace holdfast
