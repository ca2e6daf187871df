// The small pure parts of base: errors, bytes, time, text, secrets.
#include <gtest/gtest.h>

#include <cerrno>
#include <sstream>
#include <type_traits>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/run.h"
#include "base/secret.h"
#include "base/text.h"

namespace holdfast {
namespace {

TEST(ErrorTest, ContextIsPutBeforeTheMessage) {
  try {
    with_context("restore care", [] {
      return with_context("read manifest", []() -> int {
        throw Error(ErrorCode::not_found, "no such object", "look elsewhere");
      });
    });
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "restore care: read manifest: no such object");
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_EQ(error.hint(), "look elsewhere");
  }
  EXPECT_EQ(with_context("x", [] { return 5; }), 5);
  int value = 1;
  with_context("x", [&]() -> int& { return value; }) = 2;  // references pass through
  EXPECT_EQ(value, 2);
}

TEST(ErrorTest, ExitCodesAreTheContract) {
  EXPECT_EQ(exit_code_of(ErrorCode::invalid), 2);
  EXPECT_EQ(exit_code_of(ErrorCode::partial), 3);
  EXPECT_EQ(exit_code_of(ErrorCode::corrupt), 4);
  EXPECT_EQ(exit_code_of(ErrorCode::violated), 5);
  EXPECT_EQ(exit_code_of(ErrorCode::busy), 6);
  EXPECT_EQ(exit_code_of(ErrorCode::cancelled), 130);
  for (ErrorCode code : {ErrorCode::not_found, ErrorCode::exists, ErrorCode::denied,
                         ErrorCode::unavailable, ErrorCode::unsupported, ErrorCode::internal})
    EXPECT_EQ(exit_code_of(code), 1);
  EXPECT_EQ(error_code_name(ErrorCode::not_found), "not_found");
  EXPECT_EQ(error_code_name(ErrorCode::violated), "violated");
}

TEST(ErrorTest, SystemErrorsKeepTheirMeaning) {
  EXPECT_EQ(system_error("x", ENOENT).code(), ErrorCode::not_found);
  EXPECT_EQ(system_error("x", EEXIST).code(), ErrorCode::exists);
  EXPECT_EQ(system_error("x", EROFS).code(), ErrorCode::denied);
  EXPECT_FALSE(system_error("x", EACCES).hint().empty());
  EXPECT_EQ(system_error("x", ENOSPC).code(), ErrorCode::unavailable);
  EXPECT_FALSE(system_error("x", ENOSPC).hint().empty());
  EXPECT_EQ(std::string(system_error("write it", EDQUOT).what()), "write it: Disk quota exceeded");
}

TEST(BytesTest, IntegersHaveOneOrderOnEveryMachine) {
  uint8_t bytes[4];
  store_be32(bytes, 0x01020304);
  EXPECT_EQ(to_hex(bytes), "01020304");
  EXPECT_EQ(load_be32(bytes), 0x01020304u);
  EXPECT_EQ(load_le32(bytes), 0x04030201u);
  store_le32(bytes, 0xfffefdfc);
  EXPECT_EQ(to_hex(bytes), "fcfdfeff");
}

TEST(BytesTest, HexIsStrict) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  EXPECT_EQ(from_hex(to_hex(as_bytes(all))), all);
  for (const char* bad : {"0", "0g", "AB", " 00", "0x"}) EXPECT_EQ(from_hex(bad), "") << bad;
}

TEST(BytesTest, Base64IsRfc4648) {  // section 10
  for (auto [text, coded] : {std::pair("", ""), std::pair("f", "Zg=="), std::pair("fo", "Zm8="),
                             std::pair("foo", "Zm9v"), std::pair("foob", "Zm9vYg=="),
                             std::pair("fooba", "Zm9vYmE="), std::pair("foobar", "Zm9vYmFy")})
    EXPECT_EQ(to_base64(as_bytes(text)), coded);
  EXPECT_EQ(to_base64(as_bytes("\xFB\xFF\xFE")), "+//+");
}

TEST(ClockTest, TimesReadBack) {
  UtcTime time = parse_rfc3339("2026-11-10T14:30:00.123Z");
  EXPECT_EQ(format_rfc3339(time), "2026-11-10T14:30:00.123Z");
  EXPECT_EQ(format_name_time(time), "2026-11-10T14-30-00-123Z");
  EXPECT_EQ(parse_name_time("2026-11-10T14-30-00-123Z"), time);
  EXPECT_EQ(time.time_since_epoch().count(), 1794321000123);
  EXPECT_EQ(format_rfc3339(UtcTime{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_rfc3339(UtcTime(std::chrono::milliseconds(-1))), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(format_rfc3339(parse_rfc3339("2024-02-29T23:59:59.999Z")), "2024-02-29T23:59:59.999Z");
}

TEST(ClockTest, AnythingElseIsRefused) {
  for (const char* bad :
       {"", "2026-11-10", "2026-11-10T14:30:00Z", "2026-11-10T14:30:00.123",
        "2026-02-29T00:00:00.000Z", "2026-13-01T00:00:00.000Z", "2026-11-10T24:00:00.000Z",
        "2026-11-10T00:60:00.000Z", "2026-11-10T00:00:60.000Z", "2026-11-10t00:00:00.000Z",
        "2026-11-10T00:00:00.000z", "2026-11-10T00:00:00.000Z ", "+026-11-10T00:00:00.000Z",
        "2026-11-00T00:00:00.000Z"})
    EXPECT_THROW(parse_rfc3339(bad), Error) << bad;
  EXPECT_THROW(parse_name_time("2026-11-10T14:30:00.123Z"), Error);
}

TEST(ClockTest, ManualClockStandsStill) {
  ManualClock clock(parse_rfc3339("2026-11-10T14:30:00.000Z"));
  double before = clock.monotonic_seconds();
  clock.advance(std::chrono::milliseconds(1500));
  EXPECT_EQ(format_rfc3339(clock.now()), "2026-11-10T14:30:01.500Z");
  EXPECT_DOUBLE_EQ(clock.monotonic_seconds() - before, 1.5);
  SystemClock real;
  double first = real.monotonic_seconds(), second = real.monotonic_seconds();
  EXPECT_LE(first, second);
  EXPECT_GT(format_rfc3339(real.now()), "2024");
}

TEST(TextTest, NumbersForPeople) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.00 KiB");
  EXPECT_EQ(human_bytes(1'400'000'000), "1.30 GiB");
  EXPECT_EQ(human_bytes(uint64_t{40} << 20), "40.0 MiB");
  EXPECT_EQ(human_bytes(~uint64_t{0}), "16384 PiB");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(45'000), "45,000");
  EXPECT_EQ(human_count(1007), "1,007");
  EXPECT_EQ(human_count(2'100'000), "2.1 M");
  EXPECT_EQ(human_seconds(0.44), "0.4 s");
  EXPECT_EQ(human_seconds(38), "38 s");
  EXPECT_EQ(human_seconds(245), "4 min 05 s");
  EXPECT_EQ(human_seconds(59.7), "1 min 00 s");
  EXPECT_EQ(human_seconds(7380), "2 h 03 min");
  EXPECT_EQ(plural(1, "table"), "1 table");
  EXPECT_EQ(plural(0, "table"), "0 tables");
}

TEST(TextTest, BordersBetweenUnits) {
  EXPECT_EQ(human_seconds(9.96), "10 s");
  EXPECT_EQ(human_seconds(3599.8), "1 h 00 min");
  EXPECT_EQ(human_bytes((uint64_t{1} << 20) - 1), "1.00 MiB");
  EXPECT_EQ(human_bytes(10239), "10.0 KiB");
  EXPECT_EQ(human_count(999'999), "999,999");
  EXPECT_EQ(human_count(999'960'000), "1.0 G");
}

TEST(TextTest, NearestWordForgivesTyposOnly) {
  std::vector<std::string> known = {"retention", "source", "backup_dir", "jobs"};
  EXPECT_EQ(nearest_word("retension", known), "retention");
  EXPECT_EQ(nearest_word("backupdir", known), "backup_dir");
  EXPECT_EQ(nearest_word("job", known), "jobs");
  EXPECT_EQ(nearest_word("kubernetes", known), "");
  EXPECT_EQ(nearest_word("x", {}), "");
}

TEST(TextTest, SplitAndTrim) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("", ','), std::vector<std::string>{""});
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
}

TEST(TextTest, AsAJsonString) {
  EXPECT_EQ(json_quoted("näme"), "\"näme\"");
  EXPECT_EQ(json_quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
}

TEST(TextTest, Utf8IsStrict) {
  for (const char* good :
       {"", "plain", "größe", "日本", "\xF0\x9F\x90\x98", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xFF",
                          "\xF4\x90\x80\x80", "\xF0\x80\x80\x80", "a\xE6\x97", "\xF5\x80\x80\x80"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
  EXPECT_TRUE(is_utf8(std::string("a\0b", 3)));
}

TEST(TextTest, PrintableCannotHarmATerminal) {
  EXPECT_EQ(printable("größe 日本"), "größe 日本");
  EXPECT_EQ(printable("a\x1b[31mred\x07"), "a?[31mred?");
  EXPECT_EQ(printable("two\nlines\tand tab"), "two lines and tab");
  EXPECT_EQ(printable("caf\xE9"), "caf?");
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "?31m");  // CSI as one character
  EXPECT_EQ(printable("\xED\xA0\x80"), "???");
  EXPECT_EQ(printable("日本", 5), "日");  // cut between characters, within the bound
  EXPECT_EQ(printable(std::string(1000, 'x')).size(), 400u);
}

template <typename T, typename = void>
struct Streamable : std::false_type {};
template <typename T>
struct Streamable<T, std::void_t<decltype(std::declval<std::ostream&>() << std::declval<T>())>>
    : std::true_type {};

TEST(SecretTest, CannotBeStreamed) {
  static_assert(Streamable<std::string>::value);
  static_assert(!Streamable<Secret>::value);
  EXPECT_EQ(Secret("x").reveal(), "x");
  EXPECT_TRUE(Secret().empty());
}

TEST(RunTest, StopIsAnError) {
  SystemClock clock;
  NullLog log;
  NullProgress progress;
  std::stop_source source;
  holdfast::Run run{clock, log, progress, source.get_token()};
  run.check_stop();
  source.request_stop();
  try {
    run.check_stop();
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(exit_code_of(error.code()), kExitInterrupted);
  }
}

}  // namespace
}  // namespace holdfast
