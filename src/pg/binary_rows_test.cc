#include "pg/binary_rows.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {
namespace {

using enum BinaryType;
using namespace std::string_literals;
using Types = std::vector<BinaryType>;

// The rows of `text`, or nothing if it is refused. The text stands at the end of a block of its own
// size, where a sanitizer sees any read past it; `out` is checked to keep what stood in it.
std::optional<std::string> converted(const Types& types, std::string_view text) {
  std::unique_ptr<uint8_t[]> copy(new uint8_t[text.size()]);
  std::memcpy(copy.get(), text.data(), text.size());
  std::string out = "before";
  std::vector<BinaryColumn> columns;
  for (BinaryType type : types) columns.push_back({type});
  bool done = BinaryRows(columns).append({copy.get(), text.size()}, out);
  EXPECT_EQ(out.substr(0, 6), "before");
  if (!done) {
    EXPECT_EQ(out, "before");
    return std::nullopt;
  }
  return out.substr(6);
}

// The bytes of the only field of a row with its length, in hexadecimal; "refused" if it is.
std::string field(BinaryType type, std::string_view text) {
  std::optional<std::string> row = converted({type}, std::string(text) + "\n");
  if (!row) return "refused";
  EXPECT_EQ(row->substr(0, 2), "\0\1"s);
  return to_hex(as_bytes(row->substr(2)));
}

std::string text_field(std::string_view expected, std::string_view prefix = "") {
  std::string bytes(4, '\0');
  store_be32(reinterpret_cast<uint8_t*>(bytes.data()),
             static_cast<uint32_t>(prefix.size() + expected.size()));
  return to_hex(as_bytes(bytes.append(prefix).append(expected)));
}

TEST(BinaryRows, FrameIsThatOfTheManual) {
  EXPECT_EQ(to_hex(as_bytes(binary_header())), "5047434f50590aff0d0a000000000000000000");
  EXPECT_EQ(to_hex(as_bytes(binary_trailer())), "ffff");
}

TEST(BinaryRows, TypesAreKnownByTheirFixedIds) {
  constexpr struct {
    uint32_t oid, array_oid;
    BinaryType type;
  } kKnown[] = {
      {16, 1000, boolean},
      {21, 1005, int2},
      {23, 1007, int4},
      {20, 1016, int8},
      {25, 1009, BinaryType::text},
      {1042, 1014, BinaryType::text},
      {1043, 1015, BinaryType::text},
      {114, 199, json},
      {3802, 3807, jsonb},
      {2950, 2951, uuid},
      {1082, 1182, date},
      {1083, 1183, time_of_day},
      {1114, 1115, timestamp},
      {1184, 1185, timestamptz},
      {1700, 1231, numeric},
      {700, 1021, float4},
      {701, 1022, float8},
  };
  for (auto [oid, array_oid, type] : kKnown) {
    EXPECT_EQ(binary_column_of(oid), (BinaryColumn{type, 0})) << oid;
    EXPECT_EQ(binary_column_of(array_oid), (BinaryColumn{type, oid})) << array_oid;
  }
  EXPECT_EQ(binary_column_of(17), BinaryColumn{bytea});
  for (uint32_t other : {0U, 18U /* "char" */, 19U /* name */, 22U /* int2vector */, 26U /* oid */,
                         790U /* money */, 1001U /* bytea[] */, 1003U /* name[] */,
                         1186U /* interval */, 1266U /* timetz */, 1560U /* bit */, 16384U}) {
    EXPECT_EQ(binary_column_of(other), std::nullopt) << other;
  }
}

TEST(BinaryRows, RowHasItsFieldsInOrder) {
  EXPECT_EQ(to_hex(as_bytes(*converted({int4, BinaryType::text, boolean}, "7\tab\tt\n\\N\t\tf\n"))),
            "0003"
            "0000000400000007"
            "000000026162"
            "0000000101"
            "0003"
            "ffffffff"
            "00000000"
            "0000000100");
  EXPECT_EQ(converted({int4}, ""), "");
  EXPECT_EQ(converted({}, "\n\n"), "\0\0\0\0"s);
}

TEST(BinaryRows, NumberOfFieldsMustMatch) {
  EXPECT_FALSE(converted({int4, int4}, "1\n"));
  EXPECT_FALSE(converted({int4, int4}, "1\t2\t3\n"));
  EXPECT_FALSE(converted({int4, int4}, "1\t2\n1\n2\t3\n"));
  EXPECT_FALSE(converted({BinaryType::text}, "a\tb\n"));
  EXPECT_FALSE(converted({BinaryType::text, BinaryType::text}, "\n"));
  EXPECT_FALSE(converted({boolean, bytea}, "\\N\n"));
  EXPECT_FALSE(converted({}, "a\n"));
  EXPECT_FALSE(converted({}, "\t\n"));
  EXPECT_FALSE(converted(Types(32768, int2), "1\n"));
}

TEST(BinaryRows, LastLineMustBeWhole) {
  EXPECT_FALSE(converted({int4}, "1"));
  EXPECT_FALSE(converted({int4}, "1\n2"));
  EXPECT_FALSE(converted({BinaryType::text}, "a\\"));
  EXPECT_FALSE(converted({BinaryType::text}, "a\\\n"));
  EXPECT_FALSE(converted({BinaryType::text}, "\\N"));
  EXPECT_FALSE(converted({bytea}, "\\\\x"));
}

TEST(BinaryRows, NothingIsKeptOfStretchThatIsRefusedLate) {
  std::string rows;
  for (int i = 0; i < 50000; ++i) rows += "12345\tsome text\n";
  EXPECT_TRUE(converted({int4, BinaryType::text}, rows));
  EXPECT_FALSE(converted({int4, BinaryType::text}, rows + "x\ttext\n"));
}

TEST(BinaryRows, NullIsOfAnyType) {
  for (BinaryType type : {boolean, int2, int4, int8, BinaryType::text, json, jsonb, uuid, date,
                          timestamp, timestamptz, bytea, time_of_day, numeric, float4, float8}) {
    EXPECT_EQ(field(type, "\\N"), "ffffffff");
    EXPECT_EQ(field(type, "\\Na"), "refused");
    EXPECT_EQ(field(type, "a\\N"), "refused");
    EXPECT_EQ(field(type, "\\n\\N"), "refused");
  }
}

TEST(BinaryRows, Booleans) {
  EXPECT_EQ(field(boolean, "t"), "0000000101");
  EXPECT_EQ(field(boolean, "f"), "0000000100");
  for (auto other : {"", "T", "true", "1", "tt", "t "}) EXPECT_EQ(field(boolean, other), "refused");
}

TEST(BinaryRows, Integers) {
  EXPECT_EQ(field(int2, "32767"), "000000027fff");
  EXPECT_EQ(field(int2, "-32768"), "000000028000");
  EXPECT_EQ(field(int4, "2147483647"), "000000047fffffff");
  EXPECT_EQ(field(int4, "-2147483648"), "0000000480000000");
  EXPECT_EQ(field(int4, "-1"), "00000004ffffffff");
  EXPECT_EQ(field(int8, "9223372036854775807"), "000000087fffffffffffffff");
  EXPECT_EQ(field(int8, "-9223372036854775808"), "000000088000000000000000");
  EXPECT_EQ(field(int8, "258"), "000000080000000000000102");
}

TEST(BinaryRows, IntegersThatAreRefused) {
  EXPECT_EQ(field(int2, "32768"), "refused");
  EXPECT_EQ(field(int2, "-32769"), "refused");
  EXPECT_EQ(field(int4, "2147483648"), "refused");
  EXPECT_EQ(field(int4, "-2147483649"), "refused");
  EXPECT_EQ(field(int8, "9223372036854775808"), "refused");
  EXPECT_EQ(field(int8, "-9223372036854775809"), "refused");
  for (auto other : {"", "-", "+1", " 1", "1 ", "1.0", "1e3", "0x10", "1_000", "--1", "\\t1"}) {
    for (BinaryType type : {int2, int4, int8}) EXPECT_EQ(field(type, other), "refused") << other;
  }
}

TEST(BinaryRows, TextPassesUnchanged) {
  EXPECT_EQ(field(BinaryType::text, ""), "00000000");
  EXPECT_EQ(field(BinaryType::text, "abc"), text_field("abc"));
  EXPECT_EQ(field(BinaryType::text, "grün 東京 \xff"), text_field("grün 東京 \xff"));
  EXPECT_EQ(field(BinaryType::text, "\x01\x02 \x0b\x0c\x0e\x1f\x7f"),
            text_field("\x01\x02 \x0b\x0c\x0e\x1f\x7f"));
  EXPECT_EQ(field(json, "{\"a\": 1}"), text_field("{\"a\": 1}"));
  EXPECT_EQ(field(jsonb, "{\"a\": 1}"), text_field("{\"a\": 1}", "\x01"));
  for (size_t size = 0; size < 70; ++size) {  // around every width of a wide comparison
    std::string many(size, 'x');
    EXPECT_EQ(field(BinaryType::text, many), text_field(many));
    EXPECT_EQ(field(BinaryType::text, many + "\\ty"), text_field(many + "\ty"));
  }
  std::string large(1'000'000, 'z');
  EXPECT_EQ(field(BinaryType::text, large), text_field(large));
}

TEST(BinaryRows, EscapesInTextAreTheBytesTheyStandFor) {
  EXPECT_EQ(field(BinaryType::text, R"(\b\f\n\r\t\v\\)"), text_field("\b\f\n\r\t\v\\"));
  EXPECT_EQ(field(BinaryType::text, R"(a\\\\b\\N)"), text_field(R"(a\\b\N)"));
  EXPECT_EQ(field(BinaryType::text, R"(\\N)"), text_field(R"(\N)"));
  EXPECT_EQ(field(jsonb, R"("a\\nb")"), text_field(R"("a\nb")", "\x01"));
  for (auto other : {R"(\.)", R"(\101)", R"(\0)", R"(\x41)", R"(\a)", R"(\N )", R"(x\)"}) {
    EXPECT_EQ(field(BinaryType::text, other), "refused") << other;
  }
}

TEST(BinaryRows, TextWithRawCarriageReturnOrZeroIsRefused) {
  for (BinaryType type : {BinaryType::text, json, jsonb}) {
    EXPECT_EQ(field(type, "a\rb"), "refused");
    EXPECT_EQ(field(type, "a\r"), "refused");
    EXPECT_EQ(field(type, "a\0b"s), "refused");
  }
  EXPECT_EQ(field(int4, "1\r"), "refused");
  EXPECT_EQ(field(int4, "1\0"s), "refused");
}

TEST(BinaryRows, Uuids) {
  EXPECT_EQ(field(uuid, "00112233-4455-6677-8899-aabbccddeeff"),
            "0000001000112233445566778899aabbccddeeff");
  EXPECT_EQ(field(uuid, "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"),
            "00000010ffffffffffffffffffffffffffffffff");
  for (auto other :
       {"", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeeff0",
        "00112233445566778899aabbccddeeff", "{0112233-4455-6677-8899-aabbccddeef}",
        "0011223g-4455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-aabbccddee f",
        "001122334-455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-aabbccddeef-"}) {
    EXPECT_EQ(field(uuid, other), "refused") << other;
  }
}

TEST(BinaryRows, EveryHexDigitOfUuidIsChecked) {
  const std::string good = "00112233-4455-6677-8899-aabbccddeeff";
  for (size_t i = 0; i < good.size(); ++i) {
    for (char wrong : {'g', '/', ':', '@', '`', ' ', '\x80', good[i] == '-' ? '0' : '-'}) {
      std::string bad = good;
      bad[i] = wrong;
      EXPECT_EQ(field(uuid, bad), "refused") << bad;
    }
  }
}

TEST(BinaryRows, ByteStrings) {
  EXPECT_EQ(field(bytea, R"(\\x)"), "00000000");
  EXPECT_EQ(field(bytea, R"(\\x6162)"), "000000026162");
  EXPECT_EQ(field(bytea, R"(\\x00ff0A)"), "0000000300ff0a");
  for (auto other : {"", R"(\x6162)", R"(\\x616)", R"(\\x6g)", R"(\\x61 62)", R"(6162)", R"(abc)",
                     R"(\\X61)", R"(\\x61\\)", R"(\\)", R"(\\000)", R"(\\y00)"}) {
    EXPECT_EQ(field(bytea, other), "refused") << other;
  }
}

TEST(BinaryRows, Dates) {
  EXPECT_EQ(field(date, "2000-01-01"), "0000000400000000");
  EXPECT_EQ(field(date, "1999-12-31"), "00000004ffffffff");
  EXPECT_EQ(field(date, "2000-03-01"), "000000040000003c");
  EXPECT_EQ(field(date, "1970-01-01"), "00000004ffffd533");
  EXPECT_EQ(field(date, "0001-01-01"), "00000004fff4dbf9");
  EXPECT_EQ(field(date, "5874897-12-31"), "000000047fda970c");
  EXPECT_EQ(field(date, "2024-02-29"), "0000000400002279");
}

TEST(BinaryRows, DatesThatAreRefused) {
  for (auto other : {"",
                     "infinity",
                     "-infinity",
                     "0044-03-15 BC",
                     "0000-01-01",
                     "2023-02-29",
                     "1900-02-29",
                     "2024-02-30",
                     "2024-04-31",
                     "2024-13-01",
                     "2024-00-10",
                     "2024-01-00",
                     "2024-01-32",
                     "2024-1-01",
                     "2024-01-1",
                     "24-01-01",
                     "02024-01-01",
                     "5874898-01-01",
                     "99999999-01-01",
                     "2024/01/01",
                     "2024-01-01 ",
                     " 2024-01-01",
                     "2024-01-01 00:00:00",
                     "20240101",
                     "+024-01-01",
                     "2024-+1-01",
                     "2024-01-011",
                     "01-02-2024"}) {
    EXPECT_EQ(field(date, other), "refused") << other;
  }
}

TEST(BinaryRows, Timestamps) {
  EXPECT_EQ(field(timestamp, "2000-01-01 00:00:00"), "000000080000000000000000");
  EXPECT_EQ(field(timestamp, "1999-12-31 23:59:59.999999"), "00000008ffffffffffffffff");
  EXPECT_EQ(field(timestamp, "2000-01-01 00:00:00.5"), "00000008000000000007a120");
  EXPECT_EQ(field(timestamp, "2000-01-01 00:00:00.000001"), "000000080000000000000001");
  EXPECT_EQ(field(timestamp, "2000-01-02 01:01:01.25"), "0000000800000014f8119dd0");
  EXPECT_EQ(field(timestamptz, "2000-01-02 01:01:01.25+00"), "0000000800000014f8119dd0");
  EXPECT_EQ(field(timestamptz, "294276-12-31 23:59:59.999999+00"), "000000087fffff5bb3b29fff");
}

TEST(BinaryRows, TimestampsThatAreRefused) {
  for (std::string other : {"",
                            "infinity",
                            "-infinity",
                            "2026-11-23",
                            "2026-11-23 ",
                            "2026-11-23 02",
                            "2026-11-23 02:00",
                            "2026-11-23T02:00:00",
                            "2026-11-23  02:00:00",
                            "2026-11-23 24:00:00",
                            "2026-11-23 23:60:00",
                            "2026-11-23 23:59:60",
                            "2026-11-23 2:00:00",
                            "2026-11-23 02:00:00.",
                            "2026-11-23 02:00:00.1234567",
                            "2026-11-23 02:00:00.12x",
                            "2026-11-23 02:00:00,5",
                            "2026-02-29 02:00:00",
                            "294277-01-01 00:00:00",
                            "2026-11-23 -2:00:00"}) {
    EXPECT_EQ(field(timestamp, other), "refused") << other;
    EXPECT_EQ(field(timestamptz, other + "+00"), "refused") << other;
  }
}

TEST(BinaryRows, YearsBeforeChristAreRefused) {
  EXPECT_EQ(field(timestamp, "0044-03-15 12:00:00"), "00000008ff24baf5268a3000");
  EXPECT_EQ(field(timestamp, "0044-03-15 12:00:00 BC"), "refused");
  EXPECT_EQ(field(timestamptz, "0044-03-15 12:00:00+00 BC"), "refused");
}

TEST(BinaryRows, TimeZoneIsExactlyUtcWhereThereIsOne) {
  EXPECT_EQ(field(timestamp, "2026-11-23 02:00:00+00"), "refused");
  for (auto zone : {"", "+01", "-00", "+00:00", "+0", "+000", "Z", " +00", " UTC", "+00 "}) {
    EXPECT_EQ(field(timestamptz, std::string("2026-11-23 02:00:00") + zone), "refused") << zone;
  }
}

}  // namespace
}  // namespace holdfast
