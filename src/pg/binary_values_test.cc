// Values whose binary form is worked out, and arrays; the bytes are reckoned by hand from the
// server's sources. That a server takes them for the same values is
// tests/integration/test_restore_types.py's.
#include "pg/binary_values.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace holdfast {
namespace {

using namespace std::string_literals;

// The bytes of the only field of a row of COPY text, without its length, in hexadecimal; "refused"
// if it is. The text stands in a block of its own size, where a sanitizer sees any read past it.
std::string value_hex(BinaryColumn column, std::string_view text) {
  std::unique_ptr<uint8_t[]> line(new uint8_t[text.size() + 1]);
  std::memcpy(line.get(), text.data(), text.size());
  line[text.size()] = '\n';
  std::string out;
  if (!BinaryRows({column}).append({line.get(), text.size() + 1}, out)) {
    EXPECT_EQ(out, "");
    return "refused";
  }
  EXPECT_EQ(out.substr(0, 2), "\0\1"s);
  EXPECT_EQ(load_be32(reinterpret_cast<const uint8_t*>(out.data()) + 2), out.size() - 6);
  return to_hex(as_bytes(out.substr(6)));
}

std::string numeric_hex(std::string_view text) {
  return value_hex({BinaryType::numeric}, text);
}

std::string float8_hex(std::string_view text) {
  return value_hex({BinaryType::float8}, text);
}

std::string float4_hex(std::string_view text) {
  return value_hex({BinaryType::float4}, text);
}

constexpr BinaryColumn kIntegers{BinaryType::int4, 23};
constexpr BinaryColumn kTexts{BinaryType::text, 25};

TEST(BinaryValues, TimesOfDay) {
  const BinaryColumn column{BinaryType::time_of_day};
  EXPECT_EQ(value_hex(column, "00:00:00"), "0000000000000000");
  EXPECT_EQ(value_hex(column, "00:00:00.000001"), "0000000000000001");
  EXPECT_EQ(value_hex(column, "01:01:01.25"), "00000000da3a3dd0");
  EXPECT_EQ(value_hex(column, "23:59:59.999999"), "000000141dd75fff");
  for (auto other : {"", "24:00:00", "23:60:00", "23:59:60", "1:00:00", "01:00", "01:00:00.",
                     "01:00:00.1234567", "01:00:00 ", " 01:00:00", "01:00:00+00", "01:00:00 AM",
                     "-1:00:00", "01-00-00", "allballs"}) {
    EXPECT_EQ(value_hex(column, other), "refused") << other;
  }
}

TEST(BinaryValues, NumericsAreInGroupsOfFourDigits) {
  //                             digits weight sign scale
  EXPECT_EQ(numeric_hex("1"),
            "0001"
            "0000"
            "0000"
            "0000"
            "0001");
  EXPECT_EQ(numeric_hex("-1"),
            "0001"
            "0000"
            "4000"
            "0000"
            "0001");
  EXPECT_EQ(numeric_hex("1234"),
            "0001"
            "0000"
            "0000"
            "0000"
            "04d2");
  EXPECT_EQ(numeric_hex("12345"),
            "0002"
            "0001"
            "0000"
            "0000"
            "0001"
            "0929");
  EXPECT_EQ(numeric_hex("123456.7"),
            "0003"
            "0001"
            "0000"
            "0001"
            "000c"
            "0d80"
            "1b58");
  EXPECT_EQ(numeric_hex("0.5"),
            "0001"
            "ffff"
            "0000"
            "0001"
            "1388");
  EXPECT_EQ(numeric_hex("0.12345"),
            "0002"
            "ffff"
            "0000"
            "0005"
            "04d2"
            "1388");
  EXPECT_EQ(numeric_hex("-0.05"),
            "0001"
            "ffff"
            "4000"
            "0002"
            "01f4");
  EXPECT_EQ(numeric_hex("99999999.00001"),
            "0004"
            "0001"
            "0000"
            "0005"
            "270f"
            "270f"
            "0000"
            "03e8");
}

TEST(BinaryValues, NumericsHaveNoGroupOfZerosAtEitherEnd) {
  EXPECT_EQ(numeric_hex("10000"),
            "0001"
            "0001"
            "0000"
            "0000"
            "0001");
  EXPECT_EQ(numeric_hex("100000000"),
            "0001"
            "0002"
            "0000"
            "0000"
            "0001");
  EXPECT_EQ(numeric_hex("100010000.00"),
            "0002"
            "0002"
            "0000"
            "0002"
            "0001"
            "0001");
  EXPECT_EQ(numeric_hex("1000"),
            "0001"
            "0000"
            "0000"
            "0000"
            "03e8");
  EXPECT_EQ(numeric_hex("10000.00000000"),
            "0001"
            "0001"
            "0000"
            "0008"
            "0001");
  EXPECT_EQ(numeric_hex("0.0001"),
            "0001"
            "ffff"
            "0000"
            "0004"
            "0001");
  EXPECT_EQ(numeric_hex("0.00010000"),
            "0001"
            "ffff"
            "0000"
            "0008"
            "0001");
  EXPECT_EQ(numeric_hex("0.00001"),
            "0001"
            "fffe"
            "0000"
            "0005"
            "03e8");
  EXPECT_EQ(numeric_hex("0.000000001"),
            "0001"
            "fffd"
            "0000"
            "0009"
            "03e8");
  EXPECT_EQ(numeric_hex("1.0000"),
            "0001"
            "0000"
            "0000"
            "0004"
            "0001");
  EXPECT_EQ(numeric_hex("007"), numeric_hex("7"));
  EXPECT_EQ(numeric_hex("00000000.5"), numeric_hex("0.5"));
}

TEST(BinaryValues, NumericZeroHasNoDigitsAndNoSign) {
  for (auto zero : {"0", "-0", "0000000"}) EXPECT_EQ(numeric_hex(zero), "0000000000000000") << zero;
  EXPECT_EQ(numeric_hex("0.0000"), "0000000000000004");
  EXPECT_EQ(numeric_hex("-0.000"), "0000000000000003");
}

TEST(BinaryValues, NumericsThatAreRefused) {
  for (auto other :
       {"",     "-",    ".",     "-.",       ".5",        "5.",   "+1",   "--1",    "1e3",   "1E3",
        "1.5e", "0x10", "1_000", "1,0",      "NaN",       "nan",  " 1",   "1 ",     "1.2.3", "0-1",
        "0.-1", "1.0x", "0x0",   "Infinity", "-Infinity", "\\t1", "0a00", "0.0000a"}) {
    EXPECT_EQ(numeric_hex(other), "refused") << other;
  }
}

TEST(BinaryValues, LongNumericsAreLeftToTheServer) {
  EXPECT_EQ(numeric_hex(std::string(2000, '9')).size(), 2 * (8 + 2 * 500));
  EXPECT_EQ(numeric_hex("1" + std::string(1999, '0')), "000101f30000000003e8");
  EXPECT_EQ(numeric_hex("0." + std::string(1997, '0') + "1"), "0001fe0c000007ce0064");
  EXPECT_EQ(numeric_hex(std::string(2001, '9')), "refused");
  EXPECT_EQ(numeric_hex("0." + std::string(1999, '1')), "refused");
}

TEST(BinaryValues, FloatsAreTheNearestValue) {
  EXPECT_EQ(float8_hex("0"), "0000000000000000");
  EXPECT_EQ(float8_hex("-0"), "8000000000000000");
  EXPECT_EQ(float8_hex("1"), "3ff0000000000000");
  EXPECT_EQ(float8_hex("-2.5"), "c004000000000000");
  EXPECT_EQ(float8_hex("0.1"), "3fb999999999999a");
  EXPECT_EQ(float8_hex("1e+100"), "54b249ad2594c37d");
  EXPECT_EQ(float8_hex("1.7976931348623157e+308"), "7fefffffffffffff");
  EXPECT_EQ(float8_hex("2.2250738585072014e-308"), "0010000000000000");
  EXPECT_EQ(float8_hex("2.225073858507201e-308"), "000fffffffffffff");  // denormal
  EXPECT_EQ(float8_hex("5e-324"), "0000000000000001");
  EXPECT_EQ(float8_hex("9007199254740993"), "4340000000000000");  // between two: the even one
  EXPECT_EQ(float4_hex("0.1"), "3dcccccd");
  EXPECT_EQ(float4_hex("-0"), "80000000");
  EXPECT_EQ(float4_hex("3.4028235e+38"), "7f7fffff");
  EXPECT_EQ(float4_hex("1e-45"), "00000001");
  // Rounded twice, by way of a double, it would be 3f800000.
  EXPECT_EQ(float4_hex("1.00000005960464477540"), "3f800001");
}

TEST(BinaryValues, FloatsThatAreRefused) {
  for (auto other :
       {"",    "-",      "NaN",  "nan", "Infinity", "-Infinity", "inf", "-nan", "+1",
        "--1", ".5",     "-.5",  " 1",  "1 ",       "0x10",      "1e",  "1e+",  "1f",
        "1,5", "1e1000", "1.5.", "1_0", "\\t1",     "1e-1000",   "0.0", "-0e0", "1 2"}) {
    EXPECT_EQ(float8_hex(other), "refused") << other;
    EXPECT_EQ(float4_hex(other), "refused") << other;
  }
  EXPECT_EQ(float8_hex("1.8e+308"), "refused");
  EXPECT_EQ(float8_hex("2e-324"), "refused");
  EXPECT_EQ(float4_hex("3.5e+38"), "refused");
  EXPECT_EQ(float4_hex("1e-46"), "refused");
}

TEST(BinaryValues, ArrayHasItsHeadThenItsElements) {
  //                                        dimensions nulls element's type, count, first index
  EXPECT_EQ(value_hex(kIntegers, "{7,-1}"),
            "00000001"
            "00000000"
            "00000017"
            "00000002"
            "00000001"
            "00000004"
            "00000007"
            "00000004"
            "ffffffff");
  EXPECT_EQ(value_hex(kIntegers, "{7,NULL}"),
            "00000001"
            "00000001"
            "00000017"
            "00000002"
            "00000001"
            "00000004"
            "00000007"
            "ffffffff");
  EXPECT_EQ(value_hex(kIntegers, "{NULL}"),
            "00000001"
            "00000001"
            "00000017"
            "00000001"
            "00000001"
            "ffffffff");
  EXPECT_EQ(value_hex(kIntegers, "{}"),
            "00000000"
            "00000000"
            "00000017");
}

// An array of one element.
std::string array_of(std::string_view oid_hex, std::string_view length_hex, std::string_view hex) {
  return "00000001"
         "00000000"s.append(oid_hex) +
         "00000001"
         "00000001"s.append(length_hex)
             .append(hex);
}

TEST(BinaryValues, ArraysAreOfEveryType) {
  EXPECT_EQ(value_hex({BinaryType::boolean, 16}, "{t}"), array_of("00000010", "00000001", "01"));
  EXPECT_EQ(value_hex({BinaryType::int2, 21}, "{-2}"), array_of("00000015", "00000002", "fffe"));
  EXPECT_EQ(value_hex({BinaryType::int8, 20}, "{258}"),
            array_of("00000014", "00000008", "0000000000000102"));
  EXPECT_EQ(value_hex({BinaryType::text, 1043}, "{ab}"), array_of("00000413", "00000002", "6162"));
  EXPECT_EQ(value_hex({BinaryType::text, 1042}, "{\"a \"}"),
            array_of("00000412", "00000002", "6120"));
  EXPECT_EQ(value_hex({BinaryType::json, 114}, R"({"[\\"a\\"]"})"),
            array_of("00000072", "00000005", "5b2261225d"));
  EXPECT_EQ(value_hex({BinaryType::jsonb, 3802}, R"({"\\"\\\\n\\""})"),
            array_of("00000eda", "00000005", "01225c6e22"));
  EXPECT_EQ(value_hex({BinaryType::uuid, 2950}, "{00112233-4455-6677-8899-aabbccddeeff}"),
            array_of("00000b86", "00000010", "00112233445566778899aabbccddeeff"));
  EXPECT_EQ(value_hex({BinaryType::date, 1082}, "{1999-12-31}"),
            array_of("0000043a", "00000004", "ffffffff"));
  EXPECT_EQ(value_hex({BinaryType::time_of_day, 1083}, "{00:00:01}"),
            array_of("0000043b", "00000008", "00000000000f4240"));
  EXPECT_EQ(value_hex({BinaryType::timestamp, 1114}, "{\"2000-01-01 00:00:01\"}"),
            array_of("0000045a", "00000008", "00000000000f4240"));
  EXPECT_EQ(value_hex({BinaryType::timestamptz, 1184}, "{\"2000-01-01 00:00:01+00\"}"),
            array_of("000004a0", "00000008", "00000000000f4240"));
  EXPECT_EQ(value_hex({BinaryType::numeric, 1700}, "{-10000.0}"),
            array_of("000006a4", "0000000a", "00010001400000010001"));
  EXPECT_EQ(value_hex({BinaryType::float4, 700}, "{-0}"),
            array_of("000002bc", "00000004", "80000000"));
  EXPECT_EQ(value_hex({BinaryType::float8, 701}, "{0.1}"),
            array_of("000002bd", "00000008", "3fb999999999999a"));
  EXPECT_EQ(value_hex({BinaryType::bytea, 17}, R"({"\\\\x61"})"), "refused");
}

TEST(BinaryValues, TextInArraysIsWhatItWas) {
  auto element = [](std::string_view text) { return value_hex(kTexts, text); };
  auto expected = [](std::string_view text) {
    std::string length(4, '\0');
    store_be32(reinterpret_cast<uint8_t*>(length.data()), static_cast<uint32_t>(text.size()));
    return array_of("00000019", to_hex(as_bytes(length)), to_hex(as_bytes(text)));
  };
  EXPECT_EQ(element(R"({""})"), expected(""));
  EXPECT_EQ(element(R"({"NULL"})"), expected("NULL"));
  EXPECT_EQ(element(R"({"nUll"})"), expected("nUll"));
  EXPECT_EQ(element(R"({nulls})"), expected("nulls"));
  EXPECT_EQ(element(R"({"a,b"})"), expected("a,b"));
  EXPECT_EQ(element(R"({"{a}"})"), expected("{a}"));
  EXPECT_EQ(element(R"({"}"})"), expected("}"));
  EXPECT_EQ(element(R"({" a"})"), expected(" a"));
  EXPECT_EQ(element(R"({"b \\"c\\" \\\\d"})"), expected(R"(b "c" \d)"));
  EXPECT_EQ(element(R"({"\\\\"})"), expected("\\"));
  EXPECT_EQ(element(R"({"\\""})"), expected("\""));
  EXPECT_EQ(element(R"({"a\tb\nc\rd\ve\bf\fg"})"), expected("a\tb\nc\rd\ve\bf\fg"));
  EXPECT_EQ(element("{grün東京\xff\x01}"), expected("grün東京\xff\x01"));
  EXPECT_EQ(element("{a'b;c[d]e=f:g}"), expected("a'b;c[d]e=f:g"));
  EXPECT_EQ(element(R"({a,"b \\"c\\" \\\\d",NULL})"),
            "0000000100000001000000190000000300000001"
            "0000000161"
            "00000008622022632220"
            "5c64"
            "ffffffff");
}

TEST(BinaryValues, ScratchIsUsedAnew) {
  std::string twice = R"({"\\"a","b\\\\","c",d})";
  EXPECT_EQ(value_hex(kTexts, twice),
            "0000000100000000000000190000000400000001"
            "000000022261"
            "00000002625c"
            "0000000163"
            "0000000164");
  std::string out;
  const std::string rows = R"({"a\\\\bbbbbbbbbbbbbbbbbbbbbbbbbb"})"
                           "\t{1}\n{\"\\\\\\\\\"}\t{}\n\\N\t\\N\n";
  ASSERT_TRUE(BinaryRows({kTexts, kIntegers}).append(as_bytes(rows), out));
  EXPECT_EQ(to_hex(as_bytes(out.substr(out.size() - 57))),
            "0002"
            "00000019"
            "0000000100000000000000190000000100000001"
            "000000015c"
            "0000000c"
            "000000000000000000000017"
            "0002"
            "ffffffff"
            "ffffffff");
}

TEST(BinaryValues, ArraysThatAreRefused) {
  for (auto other : {"",
                     "{",
                     "}",
                     "{}}",
                     "{{}}",
                     "{}x",
                     "{} ",
                     " {}",
                     "{,}",
                     "{1,}",
                     "{,1}",
                     "{1,,2}",
                     "{1}2",
                     "{1}}",
                     "{1} ",
                     "{ 1}",
                     "{1 }",
                     "{1, 2}",
                     "{{1},{2}}",
                     "{{1,2}}",
                     "{1,{2}}",
                     "[0:1]={1,2}",
                     "[1:1]={1}",
                     "{1",
                     "1}",
                     "1",
                     "{\"1}",
                     "{\"1\"",
                     "{\"",
                     "{\"}",
                     "{\"1\"2}",
                     "{1\"2\"}",
                     "{1\"}",
                     "{\"1\" }",
                     "{\\\\1}",
                     "{\"\\\\1\"}",
                     "{\"1\\\\\"}",
                     "{\"1\\\\\\\\}",
                     "{null}",
                     "{Null}",
                     "{nULL}",
                     "{\\n1}",
                     "{1\\t}",
                     "{\\v1}",
                     "{\\f}",
                     "{\\r}",
                     "{1\\N}",
                     "\\N{1}",
                     "{\\x}",
                     "{x}",
                     "{NULL",
                     "{NULLX}",
                     "{NULL }",
                     "{\"NULL\"}",
                     "{1;2}",
                     "{\"\"}",
                     "{1\\",
                     "{1\r}",
                     "{1}\r"}) {
    EXPECT_EQ(value_hex(kIntegers, other), "refused") << other;
  }
  for (auto other :
       {"",          "{",           "{a",           "a}",           "{a b}",    "{a }",
        "{a\\tb}",   "{a\\\\b}",    "{\"a\\\\b\"}", "{null}",       "{a,null}", "{a{b}",
        "{a}b}",     "{a\"b\"}",    "{\"a\"b}",     "{\"a\"\"b\"}", "{{a}}",    "{a,}",
        "[2:2]={a}", "{\"a\\\\\"}", "{\"a\\q\"}",   "{a\rb}",       "{\"a",     "{\"\\\\"}) {
    EXPECT_EQ(value_hex(kTexts, other), "refused") << other;
  }
  EXPECT_EQ(value_hex(kTexts, "{a\0b}"s), "refused");
  EXPECT_EQ(value_hex({BinaryType::numeric, 1700}, "{1,NaN}"), "refused");
  EXPECT_EQ(value_hex({BinaryType::float8, 701}, "{1,Infinity}"), "refused");
  EXPECT_EQ(value_hex({BinaryType::time_of_day, 1083}, "{24:00:00}"), "refused");
  EXPECT_EQ(value_hex({BinaryType::timestamp, 1114}, "{2000-01-01 00:00:01}"), "refused");
}

}  // namespace
}  // namespace holdfast
